# The image of all targets: `docker build --tag REGISTRY/fullspectrum:VERSION .`
#
# KubeRay wants bash and wget, `ray up` rsync and ssh (its head reaches the workers), HOME in the environment, and a user
# with the id of the one on the machines. The GPU driver is that of the machine; torch brings the rest of CUDA.
FROM python:3.11-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY clusters/ clusters/
COPY models/ models/
COPY search/ search/
COPY spectral/ spectral/
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheel .

FROM python:3.11-slim
# What Debian has today: these are tools, and their versions do not matter.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends bash ca-certificates openssh-client procps rsync wget \
    && rm -rf /var/lib/apt/lists/*
# The id of the user that logs in to machines of `ray up`; pods run as 1000.
ARG UID=1000
RUN useradd --uid ${UID} --create-home --shell /bin/bash ray
COPY requirements.lock /tmp/
COPY --from=build /wheel/ /tmp/wheel/
# Only what the package needs, in the versions that its tests ran with.
# hadolint ignore=DL3013
RUN set -eu; wheel="$(echo /tmp/wheel/*.whl)"; \
    pip install --no-cache-dir --constraint /tmp/requirements.lock "${wheel}[aws,gcp,postgres,server]" \
    && rm -rf /tmp/wheel /tmp/requirements.lock \
    && ray --version && mlflow --version && fullspectrum --version

# SkyPilot installs its own tools into the container, and needs USER=root for that.
ARG USER=ray
USER ${USER}
ENV HOME=/home/ray RAY_USAGE_STATS_ENABLED=0 PYTHONUNBUFFERED=1
WORKDIR /home/ray
CMD ["bash"]
