"""From an artifact to container images, without an engine: parse, interpret, assemble, store.

    functions.yml, Dockerfile ─plan▶ [ImagePlan(ref, Recipe)] ─build▶ blobs and an index entry in a target

`dockerfile`, `words`   what a Dockerfile says           `tree`, `context`   files to copy, files in an image
`interpret`, `stage`,   what it means: a `Recipe`        `layers`, `oci`     the bytes an image consists of
`copying`, `bases`                                       `oci_layout`        where they go (a `Target`)
`plan`, `sources`       what an artifact needs           `prepare`, `api`    the driver, and its types
"""
