"""Interim."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Compensated:
    """c."""

    codes: torch.Tensor
    scale: torch.Tensor
    shift: torch.Tensor


def compensated(rows, moment, weight_format, group_size, *, dtype, tinygemm=False):
    W = rows.float().clone()
    n = W.shape[1]
    g = group_size or n
    mx = int(weight_format.maximum)
    if moment is None:
        moment = torch.eye(n)
    H = moment.clone()
    dead = H.diag() == 0
    H[dead, dead] = 1
    H += torch.eye(n) * 0.01 * H.diag().mean()
    hd = H.diag()
    L = torch.linalg.cholesky(H)
    U = torch.linalg.cholesky(torch.cholesky_inverse(L), upper=True)
    C = torch.empty(W.shape, dtype=torch.uint8)
    S = torch.empty(len(W), n // g, dtype=dtype)
    Z = torch.empty_like(S)

    def par(lo, hi):
        return ((hi - lo) / mx).to(dtype), (-lo).to(dtype)

    def q(w, s, z):
        s = s.float()
        z = z.float()
        c = torch.where(s > 0, ((w + z) / s).round(), torch.zeros_like(w)).clamp(0, mx)
        return c, c * s - z

    for a in range(0, n, g):
        b = a + g
        B = W[:, a:b].clone()
        E = torch.empty_like(B)
        lo = B.amin(1, keepdim=True)
        hi = B.amax(1, keepdim=True)
        best = torch.full_like(lo, math.inf)
        s, z = par(lo, hi)
        for x in (1, 0.9, 0.8, 0.7):
            for y in (1, 0.9, 0.8, 0.7):
                s1, z1 = par(lo * x, hi * y)
                _, v = q(B, s1, z1)
                e = ((v - B) ** 2 * hd[a:b]).sum(1, keepdim=True)
                u = e < best
                best = torch.where(u, e, best)
                s = torch.where(u, s1, s)
                z = torch.where(u, z1, z)
        for i in range(g):
            w = B[:, i : i + 1]
            c, v = q(w, s, z)
            C[:, a + i : a + i + 1] = c.to(torch.uint8)
            e = (w - v) / U[a + i, a + i]
            E[:, i : i + 1] = e
            B[:, i:] -= e * U[a + i, a + i : b]
        W[:, b:] -= E @ U[a:b, b:]
        S[:, a // g : a // g + 1] = s
        Z[:, a // g : a // g + 1] = z
    return Compensated(codes=C, scale=S.view(-1, 1), shift=Z.view(-1, 1))
