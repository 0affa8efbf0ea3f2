"""From an artifact to container images: parse, interpret, assemble or have an engine build, store.

    functions.yml, Dockerfile ─plan▶ [ImagePlan(ref, Work)] ─make▶ images in a `Destination`

`dockerfile`, `words`         what a Dockerfile says
`interpret`, `stage`,         what it means: a `Recipe`
`copying`, `bases`
`plan`, `planning`, `work`,   what an artifact needs, and the way each image comes about
`sources`, `imports`
`tree`, `context`, `touched`  files to copy, files in an image
`layers`, `oci`, `archive`    the bytes an image consists of
`buildx`, `staging`,          what an engine builds, and how that becomes the same everywhere
`settling`, `timeless`
`oci_layout`, `registry_*`,   where images go: a layout, a registry, the engine of this host
`engine_*`, `docker_cli`
`sites`, `*_site`, `making`   a target before anything is written to it, and the filling of it
`prepare`, `api`,             the driver, its types, what is shown
`report`, `progress`
"""
