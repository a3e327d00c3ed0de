"""The voice activity detector silero-vad (16 kHz), named as in its safetensors file, and speech to run it on."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from laconic.signals import array

RATE = 16000
CHUNK, CONTEXT = 512, 64
CHUNKS = 12
"""Of a clip: 0.4 seconds, from a state of zeros."""


class SileroVad(nn.Module):
    """A fixed Fourier transform, four convolutions and one recurrent cell."""

    def __init__(self) -> None:
        super().__init__()
        self.stft_conv = nn.Conv1d(1, 258, 256, stride=128, bias=False)
        self.conv1 = nn.Conv1d(129, 128, 3, padding=1)
        self.conv2 = nn.Conv1d(128, 64, 3, stride=2, padding=1)
        self.conv3 = nn.Conv1d(64, 64, 3, stride=2, padding=1)
        self.conv4 = nn.Conv1d(64, 128, 3, padding=1)
        self.lstm_cell = nn.LSTMCell(128, 128)
        self.final_conv = nn.Conv1d(128, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Samples (B, 64 + 512 T) -> logits (B, T, 2): no speech, speech."""
        count = (x.shape[1] - CONTEXT) // CHUNK
        chunks = x.unfold(1, CHUNK + CONTEXT, CHUNK).reshape(-1, CHUNK + CONTEXT)
        y = self.stft_conv(functional.pad(chunks[:, None], (0, 64), mode="reflect"))
        y = torch.sqrt(y[:, :129] ** 2 + y[:, 129:] ** 2 + 1e-12)  # differentiable at zero too
        y = functional.relu(self.conv4(self._middle(y))).reshape(len(x), count, 128)
        state = (x.new_zeros(len(x), 128), x.new_zeros(len(x), 128))
        found: list[torch.Tensor] = []
        for chunk in y.unbind(1):
            state = self.lstm_cell(chunk, state)
            found.append(self.final_conv(functional.relu(state[0])[..., None])[:, 0, 0])
        logit = torch.stack(found, 1)
        return torch.stack([torch.zeros_like(logit), logit], -1)

    def _middle(self, y: torch.Tensor) -> torch.Tensor:
        for layer in (self.conv1, self.conv2, self.conv3):
            y = functional.relu(layer(y))
        return y


def load(folder: Path) -> SileroVad:
    """The published network."""
    [path] = folder.glob("*silero_vad_16k.safetensors")
    model = SileroVad()
    model.load_state_dict({one.name: torch.from_numpy(one.array().copy()) for one in array.load(path).tensors})
    return model.eval()


def clips(folder: Path, count: int, *, calibration: bool) -> torch.Tensor:
    """Speech from the WAV files of a folder (mono, 16 bits), half of it in noise: (count, 64 + 512 * 12).

    Every third file is for calibration, the others are for the test. What has 8 kHz is brought to 16 kHz.
    """
    random = np.random.default_rng(int(calibration))
    paths = [path for place, path in enumerate(sorted(folder.glob("*.wav"))) if (place % 3 == 0) == calibration]
    length = CONTEXT + CHUNK * CHUNKS
    found: list[Any] = []
    while len(found) < count:
        for path in paths:
            samples = _samples(path)
            if len(samples) < length or len(found) == count:
                continue
            at = int(random.integers(0, len(samples) - length + 1))
            clip = samples[at : at + length] * 10 ** (random.uniform(-12, 0) / 20)
            if random.random() < 0.5:
                power = np.sqrt(np.mean(clip**2)) + 1e-4
                clip = clip + power * 10 ** (-random.uniform(-5, 20) / 20) * random.standard_normal(length)
            found.append(np.clip(clip, -1, 1))
    return torch.from_numpy(np.stack(found).astype(np.float32))


def noise(count: int = 300) -> torch.Tensor:
    """Clips of no data: noise whose amplitudes fall with the frequency, now louder, now softer."""
    signs = torch.Generator().manual_seed(0)
    length = CONTEXT + CHUNK * CHUNKS
    frequency = torch.fft.rfftfreq(length).clamp_min(100 / RATE)
    white = torch.fft.rfft(torch.randn(count, length, generator=signs))
    clips = torch.fft.irfft(white / frequency, n=length)
    loudness = 10 ** (-2 * torch.rand(count, CHUNKS // 3 + 2, generator=signs))
    envelope = functional.interpolate(loudness[:, None], size=length, mode="linear")[:, 0]
    return (0.3 * envelope * clips / clips.std(1, keepdim=True)).clamp(-1, 1)


def _samples(path: Path) -> Any:
    with wave.open(str(path)) as file:
        if file.getnchannels() != 1 or file.getsampwidth() != 2 or RATE % file.getframerate():
            return np.zeros(0)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
        more = RATE // file.getframerate()
    if more == 1 or not len(samples):
        return samples
    return np.fft.irfft(np.fft.rfft(samples), more * len(samples)) * more
