"""Modules that the tests of several rooms freeze."""

from __future__ import annotations

from torch import nn
from transformers.models.gpt_oss.modeling_gpt_oss import GptOssConfig, GptOssExperts
from transformers.models.mixtral.modeling_mixtral import MixtralConfig, MixtralExperts


class Standardized(nn.Conv2d):
    """A convolution that transforms its weight."""

    def forward(self, input):  # noqa: A002 - torch's name
        weight = self.weight - self.weight.mean(dim=(1, 2, 3), keepdim=True)
        return self._conv_forward(input, weight, self.bias)


class Doubled(nn.Linear):
    """A linear layer that transforms its weight."""

    def forward(self, input):  # noqa: A002 - torch's name
        return nn.functional.linear(input, 2 * self.weight, self.bias)


def experts():
    config = MixtralConfig(hidden_size=64, intermediate_size=96, num_local_experts=3)
    return filled_experts(MixtralExperts, config)


def gpt_oss_experts():
    config = GptOssConfig(hidden_size=32, intermediate_size=48, num_local_experts=4)
    return filled_experts(GptOssExperts, config)


def filled_experts(kind, config):
    """Make experts with random weights, which run in a loop."""
    config._experts_implementation = "eager"
    found = kind(config)
    for parameter in found.parameters():
        nn.init.normal_(parameter, std=0.1)
    return found
