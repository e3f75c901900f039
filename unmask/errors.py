"""Every error Unmask raises on purpose, and every reason code that a verdict may carry.

UnmaskError                 carries `code` (a ReasonCode) and `fix` (one sentence)
|-- InputError              the media or request is at fault; the batch goes on
|   |-- MediaRefused        not a video we decode (type, size, length, pixels)
|   |-- AddressRefused      a web address that Unmask does not connect to
|   |-- FetchFailed         the server at an allowed address did not hand the media over
|   `-- DecodeFailed        a supported container whose stream cannot be decoded
|-- PluginError             carries `plugin`
|   |-- PluginBroken        import, manifest or entry point at fault
|   `-- BundleRefused       weights bundle missing, corrupt, tampered with or ill-fitting
|-- EngineError             carries `engine`; the worker falls back to the next
|   |-- EngineUnavailable   its runtime or its device is missing
|   |   |-- NotInstalled    an optional runtime is absent or of the wrong version
|   |   `-- CacheRefused    a built engine is damaged, altered or open to other users
|   `-- ParityFailed        it disagrees with the torch reference
|-- BrokerError             Redis unreachable or misconfigured
|-- StoreError              database unreachable or schema out of date
|-- DecoderKilled           somebody killed the decoder: the kernel short of memory, or a person
|-- Outage                  the machine is at fault (disk, memory, files): what it was doing waits
|-- ConfigError             a setting or argument is off
`-- IdempotencyConflict     same Idempotency-Key, other body
"""

from enum import StrEnum


class ReasonCode(StrEnum):
    """Why a verdict is inconclusive, or a job failed. Stable strings: clients switch on them."""

    # The media could not be judged for what it shows (job succeeded, verdict inconclusive).
    NO_FACE = "no_face"
    FACE_TOO_SMALL = "face_too_small"
    TOO_FEW_FRAMES = "too_few_frames"
    SINGLE_FRAME = "single_frame"
    OUT_OF_DISTRIBUTION = "out_of_distribution"
    PLUGINS_DISAGREE = "plugins_disagree"
    FACE_SIDEWAYS = "face_sideways"
    HARDLY_A_FACE = "hardly_a_face"

    # The file is judged, and this is to be known of it (a note beside the verdict).
    OTHER_STREAMS = "other_streams"
    CLOCK_RESET = "clock_reset"
    SIZE_CHANGES = "size_changes"

    # The media is not something we decode (job failed, technical).
    NOT_FOUND = "not_found"
    NOT_A_FILE = "not_a_file"
    NOT_READABLE = "not_readable"
    EMPTY_FILE = "empty_file"
    UNSUPPORTED_MEDIA = "unsupported_media"
    IS_AN_IMAGE = "is_an_image"
    NO_VIDEO_STREAM = "no_video_stream"
    TRUNCATED = "truncated"
    DECODE_ERROR = "decode_error"
    DECODE_TIMEOUT = "decode_timeout"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_LONG = "too_long"
    TOO_LARGE = "too_large"

    # The media is elsewhere and could not be had (job failed, technical).
    ADDRESS_REFUSED = "address_refused"
    FETCH_FAILED = "fetch_failed"
    FETCH_TIMEOUT = "fetch_timeout"

    # Our side (verdict inconclusive or job failed, technical).
    NO_WEIGHTS = "no_weights"
    UNTRAINED_WEIGHTS = "untrained_weights"
    NO_SIGNAL = "no_signal"
    UNCALIBRATED = "uncalibrated"
    PLUGIN_FAILED = "plugin_failed"
    PLUGIN_BROKEN = "plugin_broken"
    BUNDLE_REFUSED = "bundle_refused"
    ENGINE_UNAVAILABLE = "engine_unavailable"
    PARITY_FAILED = "parity_failed"
    FACE_DETECTOR_UNAVAILABLE = "face_detector_unavailable"
    WEAK_FACE_DETECTOR = "weak_face_detector"
    DEAD_LETTER = "dead_letter"
    BROKER_UNAVAILABLE = "broker_unavailable"
    STORE_UNAVAILABLE = "store_unavailable"
    DISK_FULL = "disk_full"
    OUT_OF_MEMORY = "out_of_memory"
    OUT_OF_RESOURCES = "out_of_resources"
    PERMISSION_DENIED = "permission_denied"
    NETWORK_UNAVAILABLE = "network_unavailable"
    DEVICE_UNAVAILABLE = "device_unavailable"
    NO_WORKER = "no_worker"
    CONFIG_INVALID = "config_invalid"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    CANCELLED = "cancelled"
    INTERNAL = "internal"


class UnmaskError(Exception):
    """Root of the tree: a message saying what is wrong, a code, and the sentence naming the fix."""

    code: ReasonCode = ReasonCode.INTERNAL

    def __init__(self, message: str, *, fix: str = "", code: ReasonCode | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return f"{self.message} {self.fix}".strip()


class InputError(UnmaskError):
    """The input is at fault, not Unmask."""

    code = ReasonCode.UNSUPPORTED_MEDIA


class MediaRefused(InputError):
    """Refused before decoding: wrong type, or outside the limits of the settings."""


class AddressRefused(InputError):
    """An address outside the public internet, or in a spelling that hides one."""

    code = ReasonCode.ADDRESS_REFUSED


class FetchFailed(InputError):
    """The media's server did not hand it over: its answer, its silence, or the name is at fault."""

    code = ReasonCode.FETCH_FAILED


class DecodeFailed(InputError):
    """The container opened, its video stream could not be decoded."""

    code = ReasonCode.DECODE_ERROR


class PluginError(UnmaskError):
    """An error that belongs to one plugin, which it names."""

    code = ReasonCode.PLUGIN_FAILED

    def __init__(
        self, plugin: str, message: str, *, fix: str = "", code: ReasonCode | None = None
    ) -> None:
        super().__init__(f"{plugin}: {message}", fix=fix, code=code)
        self.plugin = plugin


class PluginBroken(PluginError):
    """The plugin cannot be imported, or its manifest does not parse."""

    code = ReasonCode.PLUGIN_BROKEN


class BundleRefused(PluginError):
    """A weights bundle that is missing parts, corrupt, tampered with, or of another shape."""

    code = ReasonCode.BUNDLE_REFUSED


class EngineError(UnmaskError):
    """An error of one inference engine, which it names."""

    code = ReasonCode.ENGINE_UNAVAILABLE

    def __init__(
        self, engine: str, message: str, *, fix: str = "", code: ReasonCode | None = None
    ) -> None:
        super().__init__(f"{engine}: {message}", fix=fix, code=code)
        self.engine = engine


class EngineUnavailable(EngineError):
    """The engine's runtime is not installed, or there is no such device."""


class NotInstalled(EngineUnavailable):
    """An optional runtime is absent or of the wrong version: no reason to worry under `auto`."""


class CacheRefused(EngineUnavailable):
    """A cached engine that is damaged, altered, or in a folder that others can write to."""


class ParityFailed(EngineError):
    """The compiled engine disagrees with the torch reference by more than the gate allows."""

    code = ReasonCode.PARITY_FAILED


class BrokerError(UnmaskError):
    """Redis cannot be reached, or runs with settings that would lose data."""

    code = ReasonCode.BROKER_UNAVAILABLE


class StoreError(UnmaskError):
    """The database cannot be reached, or its schema is older than the code."""

    code = ReasonCode.STORE_UNAVAILABLE


class Outage(UnmaskError):
    """The machine is at fault, not the media: whoever meets it waits, and tries again."""

    code = ReasonCode.OUT_OF_RESOURCES


class DecoderKilled(UnmaskError):
    """The decoder was killed from outside: a few more tries tell an accident from the media."""

    code = ReasonCode.OUT_OF_MEMORY


class ConfigError(UnmaskError):
    """A setting, an argument or a configuration file is off."""

    code = ReasonCode.CONFIG_INVALID


class IdempotencyConflict(UnmaskError):
    """The Idempotency-Key was used before with another body."""

    code = ReasonCode.IDEMPOTENCY_CONFLICT
