"""The network zoo as a table: what each network is called, and where it may be cut. Loads no framework.

A recipe is checked against this table before TensorFlow is loaded; :mod:`ml.networks.zoo` builds what it names.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Architecture:
    """One network of the zoo.

    Attributes:
        name: as a recipe writes it.
        paper: where it was published.
        cuts: layers below which everything can be frozen, from input to output; each is the only path between the
            layers before and after it.
        smallest_side: smallest input, pixels.
        step: the side must be a multiple of this, pixels.
        scaling: how 8-bit grey becomes the network's input, in words.
        has_imagenet: whether Keras publishes ImageNet weights for it.
        has_width: whether the width multiplier applies.
    """

    name: str
    paper: str
    cuts: tuple[str, ...]
    smallest_side: int
    scaling: str
    step: int = 1
    has_imagenet: bool = True
    has_width: bool = False


_SYMMETRIC = "x / 127.5 - 1"
_CAFFE = "BGR minus the ImageNet mean, 0-255"
_TORCH = "x / 255, minus mean, over deviation of ImageNet"
_INSIDE = "0-255, scaled by the network's own first layers"

ARCHITECTURES = {
    architecture.name: architecture
    for architecture in (
        Architecture(
            name="mobilenetv2",
            paper="Sandler et al., CVPR 2018",
            cuts=("block_2_add", "block_5_add", "block_9_add", "block_12_add", "block_15_add"),
            smallest_side=32,
            step=32,
            scaling=_SYMMETRIC,
            has_width=True,
        ),
        Architecture(
            name="vgg16",
            paper="Simonyan and Zisserman, ICLR 2015",
            cuts=("block1_pool", "block2_pool", "block3_pool", "block4_pool"),
            smallest_side=32,
            scaling=_CAFFE,
        ),
        Architecture(
            name="resnet50",
            paper="He et al., CVPR 2016",
            cuts=("conv2_block3_out", "conv3_block4_out", "conv4_block6_out"),
            smallest_side=32,
            scaling=_CAFFE,
        ),
        Architecture(
            name="inceptionv3",
            paper="Szegedy et al., CVPR 2016",
            cuts=("mixed2", "mixed5", "mixed7", "mixed9"),
            smallest_side=75,
            scaling=_SYMMETRIC,
        ),
        Architecture(
            name="efficientnetb0",
            paper="Tan and Le, ICML 2019",
            cuts=("block2b_add", "block3b_add", "block4c_add", "block5c_add", "block6d_add"),
            smallest_side=32,
            scaling=_INSIDE,
        ),
        Architecture(
            name="densenet121",
            paper="Huang et al., CVPR 2017",
            cuts=("pool2_pool", "pool3_pool", "pool4_pool"),
            smallest_side=32,
            scaling=_TORCH,
        ),
        Architecture(
            name="plain-cnn",
            paper="four stages of convolution, normalisation, ReLU and pooling",
            cuts=("stage1_pool", "stage2_pool", "stage3_pool"),
            smallest_side=16,
            scaling=_SYMMETRIC,
            has_imagenet=False,
            has_width=True,
        ),
    )
}
