# One image for every process of ours; the command decides which:
#   web      pal serve                                      (the default)
#   worker   python -m worker --queue learn --queue desk --queue export
#   one-off  pal init … / pal doctor / pal sync
#
# CPU (default):  docker build -t pal-label-studio:cpu .
# CUDA:           docker build -t pal-label-studio:cuda --build-arg TORCH_INDEX=https://pypi.org/simple .
#                 PyPI's torch for Linux brings the CUDA libraries along, so that the host needs only the driver and the
#                 NVIDIA container toolkit. To build on a CUDA image of your own, set BASE as well: any image with
#                 Python 3.11 or newer as `python3` serves, and a torch in it of the locked version is used as it is.
ARG BASE=python:3.11-slim-bookworm

# hadolint ignore=DL3006
FROM ${BASE}

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

# Label Studio's image uses uid 1001, Redis' image 999: ours is its own, so that no volume is shared by accident.
RUN groupadd --gid 10001 pal \
    && useradd --uid 10001 --gid pal --no-create-home --home-dir /var/lib/pal --shell /usr/sbin/nologin pal \
    && install -d -o pal -g pal -m 0700 /var/lib/pal

WORKDIR /opt/pal/source
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY label_config label_config
COPY pal_backend pal_backend
COPY worker worker
# In two steps: what s3:// needs is not in the lock file, and asks for an older python-dateutil than is locked.
RUN python3 -m venv --system-site-packages /opt/pal/environment \
    && /opt/pal/environment/bin/pip install --no-cache-dir --extra-index-url "${TORCH_INDEX}" \
        --constraint requirements.lock . \
    && /opt/pal/environment/bin/pip install --no-cache-dir ".[s3]" \
    && rm -rf /opt/pal/source/build

ENV PATH=/opt/pal/environment/bin:${PATH} \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PAL_HOME=/var/lib/pal \
    PAL_HOST=0.0.0.0 \
    PORT=9090

# Not the folder of the sources: `import worker` must find what was installed.
WORKDIR /var/lib/pal
USER 10001:10001
VOLUME /var/lib/pal
EXPOSE 9090

HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ['PORT']}/health\", timeout=2)"]

CMD ["pal", "serve"]
