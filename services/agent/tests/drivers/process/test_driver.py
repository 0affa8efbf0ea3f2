"""Real functions in real processes, each the official runtime client."""

ECHO = "def handler(event, context): return event"


async def test_a_call_reaches_the_handler_and_its_result_the_caller(box, call):
    worker = await box.worker(ECHO)
    answer = await call(worker, {"name": "Łukasz ✓"})
    assert (answer.status, answer.json(), answer.error) == (200, {"name": "Łukasz ✓"}, "")
    assert answer.headers["content-type"] == "application/json"
