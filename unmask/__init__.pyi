from console.client import ApiError as ApiError
from console.client import AsyncClient as AsyncClient
from console.client import Client as Client
from unmask.bundle import BundleCard as BundleCard
from unmask.errors import ReasonCode as ReasonCode
from unmask.errors import UnmaskError as UnmaskError
from unmask.plugin import Detector as Detector
from unmask.plugin import DetectorManifest as DetectorManifest
from unmask.plugin import FaceCrop as FaceCrop
from unmask.plugin import FaceReading as FaceReading
from unmask.plugin import Prepared as Prepared
from unmask.plugin import RawOutput as RawOutput
from unmask.policy import Policy as Policy
from unmask.policy import load_policy as load_policy
from unmask.settings import Settings as Settings
from unmask.verdict import Verdict as Verdict
from unmask.verdict import VerdictLabel as VerdictLabel
from unmask.verdict import read_verdict as read_verdict
from unmask.verdict.decision import Decision as Decision
from workers.run.scan import scan as scan
from workers.run.scan import scan_all as scan_all
from workers.run.scan_result import ScanResult as ScanResult

__version__: str
