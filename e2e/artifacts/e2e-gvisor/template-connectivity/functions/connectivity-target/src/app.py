"""What chain_invoke calls."""


def handler(event, context):
    return {"function": context.function_name, "message": event["message"]}
