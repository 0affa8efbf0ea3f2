"""From the text of a SAM template to what it asks for.

    bytes -load-> nodes -read-> Template -resolve-> Resolution -interpret-> functions, tables, ...

`load` knows YAML, `tags` CloudFormation's short forms, `template` the sections of a template; `parameters`,
`evaluate`, `intrinsics`, `references` and `globals` know how CloudFormation and SAM compute values;
`functions`, `events`, `apis`, `layers` and `storage` know what a resource means on a box. `support` lists
what has no effect there and what is lost.
"""
