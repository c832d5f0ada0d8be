"""Inner products of all pairs of shifted maps, without shifting them: what a linear prediction from neighbours needs.

Shifted by a and by b, two maps overlap as they do at the lag b - a, but for a frame as wide as the shifts. The middle
is summed once for each lag, by a correlation in the frequency domain; the frame's rows and columns are summed one by
one, and each pair of shifts adds up those that it covers. The result is that of the literal sum, up to rounding, with
a hundredth of the work.

Shapes: K maps, H and W height and width of what is shifted over, S shifts along each side, L = 2 S - 1 lags.
"""

from __future__ import annotations

import torch
from torch import Tensor


def shifted_products(padded: Tensor, shifts: int) -> Tensor:
    """Sums over a window of H x W positions of the products of maps, each shifted by 0..S - 1 along both sides.

    Args:
        padded: float64 [K H + S - 1, W + S - 1]; H and W are at least S.
        shifts: S.

    Returns:
        [K S S, K S S]: map, row shift and column shift of the first factor, then of the second.
    """
    K, S, reach = padded.shape[0], shifts, shifts - 1
    H, W = (size - reach for size in padded.shape[1:])
    wide = torch.nn.functional.pad(padded, (reach,) * 4)
    # [i j dy dx, part of H, part of W]
    parts = padded.new_zeros(K, K, *(2 * S - 1,) * 4)
    parts[..., reach, reach] = _middle(padded, S, (H, W))
    # The parts, row and column at which the frame begins, before and behind the middle.
    outer = ((0, 0, 0), (S, H, W))
    for place, top, left in outer:
        frame = slice(place, place + reach)
        parts[..., frame, reach] = _strip(padded, wide, top, S, W)
        turned = _strip(padded.transpose(1, 2), wide.transpose(1, 2), left, S, H)
        parts[..., reach, frame] = turned.transpose(2, 3)
        for other, _, column in outer:
            corner = slice(other, other + reach)
            parts[..., frame, corner] = _corner(padded, wide, (top, column), S)
    windows = _box_sums(parts, S)  # [K K L L S S]
    a = torch.arange(S)
    lag = a[None, :] - a[:, None] + reach  # of a second shift behind a first
    y, x = a[:, None, None, None], a[None, :, None, None]
    pairs = windows[:, :, lag[:, None, :, None], lag[None, :, None, :], y, x]  # [K K S S S S]
    return pairs.permute(0, 2, 3, 1, 4, 5).reshape(K * S * S, K * S * S)


def _middle(padded: Tensor, S: int, size: tuple[int, int]) -> Tensor:
    """The sums over the positions that every window covers, by lag: [K K L L]."""
    (H, W), reach = size, S - 1
    whole = padded.shape[1:]
    core = torch.zeros_like(padded)
    core[:, reach:H, reach:W] = padded[:, reach:H, reach:W]
    first, second = torch.fft.rfft2(core), torch.fft.rfft2(padded)
    lags = torch.arange(-reach, S)
    rows = [
        torch.fft.irfft2(one.conj() * second, s=whole)[:, lags[:, None] % whole[0], lags % whole[1]]
        for one in first
    ]
    return torch.stack(rows)


def _strip(padded: Tensor, wide: Tensor, first: int, S: int, W: int) -> Tensor:
    """The sums over the middle columns of S - 1 rows from `first` on, row by row: [K K L L S-1]."""
    K, reach = padded.shape[0], S - 1
    own = padded[:, first : first + reach, reach:W].reshape(K * reach, -1)
    other = wide[:, first : first + 3 * reach]  # from `reach` above the first row to `reach` below the last
    found = [
        own @ other[:, :, 2 * reach + dx : W + reach + dx].reshape(K * 3 * reach, -1).T
        for dx in range(-reach, S)
    ]
    by_lag = torch.stack(found).view(2 * S - 1, K, reach, K, 3 * reach)
    own_row = torch.arange(reach)
    rows = own_row[None, :] + torch.arange(2 * S - 1)[:, None]  # [L S-1], in `other`
    picked = by_lag.permute(1, 3, 0, 2, 4)[:, :, :, own_row[None, :].expand_as(rows), rows]  # [K K dx dy S-1]
    return picked.transpose(2, 3)


def _corner(padded: Tensor, wide: Tensor, first: tuple[int, int], S: int) -> Tensor:
    """The products at (S - 1) x (S - 1) positions, one by one: [K K L L S-1 S-1]."""
    reach = S - 1
    top, left = first
    own = padded[:, top : top + reach, left : left + reach]
    other = wide[:, top : top + 3 * reach, left : left + 3 * reach]
    shifted = other.unfold(1, reach, 1).unfold(2, reach, 1)  # [K L L S-1 S-1]
    return own[:, None, None, None] * shifted[None]


def _box_sums(parts: Tensor, S: int) -> Tensor:
    """The sum of S x S neighbouring parts from each place on: [... L L] to [... S S]."""
    return parts.unfold(-2, S, 1).sum(dim=-1).unfold(-1, S, 1).sum(dim=-1)
