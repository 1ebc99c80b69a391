"""The methods table: one small frozen dataclass a row, with its formula and source.

A method is points (where rows are taken, and with which weights) and a row function (what each row gives). It has no
loop of its own: see `engine`. In the formulas F is the explained score, x the selected tensor, x' its baseline.
"""

from ..engine.method import METHODS, Method, as_method
from .blur import BlurIG
from .cam import GradCam, GradCamPlusPlus, GuidedGradCam, LayerCam
from .coalitions.methods import LIME, KernelSHAP, ShapleySampling
from .conductance import Conductance, InternalInfluence
from .deeplift.method import DeepLift, DeepShap
from .gradients import Deconvolution, Gradient, GradientTimesInput, GuidedBackprop, InteriorGradients
from .guided_ig import GuidedIG
from .masks import Ablation, Occlusion
from .paths import ExpectedGradients, IntegratedGradients
from .rise import RISE
from .score_cam import ScoreCam
from .smoothgrad import SmoothGrad, SmoothGradSquared, VarGrad
from .xrai import XRAI

METHODS.fill(
    {
        "gradient": Gradient,
        "gradient_times_input": GradientTimesInput,
        "interior_gradients": InteriorGradients,
        "integrated_gradients": IntegratedGradients,
        "expected_gradients": ExpectedGradients,
        "blur_ig": BlurIG,
        "smoothgrad": SmoothGrad,
        "smoothgrad_squared": SmoothGradSquared,
        "vargrad": VarGrad,
        "occlusion": Occlusion,
        "ablation": Ablation,
        "shapley_sampling": ShapleySampling,
        "kernel_shap": KernelSHAP,
        "lime": LIME,
        "guided_ig": GuidedIG,
        "deeplift": DeepLift,
        "deepshap": DeepShap,
        "guided_backprop": GuidedBackprop,
        "deconvolution": Deconvolution,
        "conductance": Conductance,
        "internal_influence": InternalInfluence,
        "grad_cam": GradCam,
        "grad_cam_plus_plus": GradCamPlusPlus,
        "layer_cam": LayerCam,
        "score_cam": ScoreCam,
        "guided_grad_cam": GuidedGradCam,
        "rise": RISE,
        "xrai": XRAI,
    }
)

__all__ = ["METHODS", "Method", "as_method"]
