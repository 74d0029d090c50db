"""More right answers in unusual styles: none may lose a point."""

STYLES: dict[str, list[str]] = {
    "contractive_penalty": [
        """
def contractive_penalty(z, W):
    total = 0.0
    for row in z:
        J = torch.diag(row - row**2) @ W
        total = total + torch.linalg.matrix_norm(J).pow(2)
    return total / z.shape[0]
""",
        """
def contractive_penalty(z, W):
    sum = 0
    print(float(z.mean()))
    return ((z - z * z).square() * W.norm(dim=1) ** 2).sum(dim=-1).mean(0)
""",
        """
contractive_penalty = lambda z, W: ((z * (1 - z)).pow(2).mean(0) * W.pow(2).sum(1)).sum()
""",
    ],
    "jacobian_norm": [
        """
def jacobian_norm(encode, x, rng):
    leaf = x.detach().clone()
    leaf.requires_grad = True
    with torch.enable_grad():
        z = encode(leaf)
        v = torch.empty_like(z).normal_(generator=rng)
        g, = torch.autograd.grad(torch.sum(z * v), leaf, create_graph=True, retain_graph=True)
    return (g * g).reshape(len(x), -1).sum(-1)
""",
        """
def jacobian_norm(encode, x, rng):
    x = x.detach().requires_grad_(True)
    z = encode(x)
    print(z.shape, float(z.mean()), encode(x).shape)
    v = torch.stack([torch.randn(z.shape[1], generator=rng) for _ in range(len(z))])
    dot = torch.einsum("nk,nk->n", z, v)
    g = torch.autograd.grad(dot, x, torch.ones_like(dot), create_graph=True)[0]
    return torch.einsum("nchw,nchw->n", g, g)
""",
    ],
    "k_sparse": [
        """
def k_sparse(h, k):
    values, places = torch.topk(h, k)
    return torch.zeros_like(h).scatter(-1, places, values)
""",
        """
def k_sparse(h, k):
    rank = (-h).argsort(dim=1, stable=True).argsort(dim=1)
    return torch.where(rank < k, h, torch.zeros(()))
""",
        """
def k_sparse(h, k):
    out = h.clone()
    worst = h.topk(h.size(1) - k, dim=1, largest=False).indices
    for i in range(h.size(0)):
        out[i, worst[i]] = 0
    return out
""",
    ],
    "cosine_mask": [
        """
def cosine_mask(u, patches, rng):
    m = torch.ceil(torch.cos(u * torch.pi / 2) * patches).int()
    noise = torch.rand((u.numel(), patches), generator=rng)
    order = torch.argsort(noise, dim=-1, descending=True)
    mask = torch.zeros(len(u), patches).bool()
    return mask.scatter(1, order, torch.arange(patches)[None, :] < m[:, None])
""",
        """
def cosine_mask(u, patches, rng):
    keys = torch.randn(len(u), patches, generator=rng)
    threshold = keys.sort(dim=1, descending=True).values
    m = torch.cos(math.pi * u / 2).mul(patches).ceil().long().clamp(min=1)
    return keys >= threshold.gather(1, m[:, None] - 1)
""",
    ],
    "mmd2": [
        """
def mmd2(a, b, width):
    def sq(u, v):
        return ((u**2).sum(1)[:, None] + (v**2).sum(1)[None] - 2 * u @ v.T).clamp(min=0)
    k = lambda u, v: torch.exp(-sq(u, v) / (2 * width * width))
    m, n = len(a), len(b)
    kaa, kbb = k(a, a), k(b, b)
    x = (kaa.sum() - torch.trace(kaa)) / (m * m - m)
    y = (kbb.sum() - torch.trace(kbb)) / (n * n - n)
    return x + y - 2 * k(a, b).sum() / (m * n)
""",
        """
def mmd2(a, b, width):
    F, sum = 4, 0
    def mean_kernel(u, v, leave_out):
        total, count = 0.0, 0
        for i in range(len(u)):
            for j in range(len(v)):
                if not (leave_out and i == j):
                    total = total + torch.exp(-0.5 * ((u[i] - v[j]) / width).pow(2).sum())
                    count += 1
        return total / count
    return mean_kernel(a, a, True) + mean_kernel(b, b, True) - 2 * mean_kernel(a, b, False)
""",
        """
def mmd2(a, b, width):
    c = torch.vstack((a, b))
    K = torch.exp(-torch.cdist(c, c).square() / 2 / width**2)
    m, n = a.shape[0], b.shape[0]
    w = torch.cat([torch.ones(m) / m, -torch.ones(n) / n])
    W = torch.outer(w, w)
    W[:m, :m] = (1 - torch.eye(m)) / (m * (m - 1))
    W[m:, m:] = (1 - torch.eye(n)) / (n * (n - 1))
    return (K * W).sum()
""",
    ],
    "mmd_vae_loss": [
        """
def mmd_vae_loss(logits, x, z, weight, distance, rng):
    p = torch.randn(*z.shape, generator=rng)
    print(float(distance(z, p)))
    target = x.add(1).div(2)
    bce = F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum((1, 2, 3))
    return bce.mean() + weight * distance(z, p)
""",
        """
def mmd_vae_loss(logits, x, z, weight, distance, rng):
    prior = torch.zeros_like(z).normal_(generator=rng)
    nats = F.softplus(-x * logits).reshape(x.shape[0], -1).sum(-1)
    return torch.add(nats.mean(), distance(prior, z), alpha=weight)
""",
        """
def mmd_vae_loss(logits, x, z, weight, distance, rng):
    log_p = torch.distributions.Bernoulli(logits=logits).log_prob((x > 0).float())
    prior = torch.normal(0.0, 1.0, size=z.shape, generator=rng)
    return -log_p.sum() / len(z) + distance(z, prior) * weight
""",
    ],
    "kl_to_class": [
        """
def kl_to_class(mu, log_var, labels, means):
    m = torch.stack([means[int(y)] for y in labels])
    var = log_var.exp()
    return (0.5 * ((mu - m).pow(2) + var - 1 - log_var)).sum(-1)
""",
        """
def kl_to_class(mu, log_var, labels, means):
    m = means.index_select(0, labels)
    plain = -0.5 * torch.sum(1 + log_var - (mu - m).square() - torch.exp(log_var), dim=1)
    return plain
""",
        """
def kl_to_class(mu, log_var, labels, means):
    N, MVN = torch.distributions.Independent, torch.distributions.Normal
    q = N(MVN(mu, log_var.mul(0.5).exp()), 1)
    p = N(MVN(F.embedding(labels, means), torch.ones_like(mu)), 1)
    return torch.distributions.kl_divergence(q, p)
""",
    ],
    "draw_class": [
        """
def draw_class(decode, labels, means, rng):
    z = means[labels] + torch.empty(len(labels), means.size(1)).normal_(generator=rng)
    print(decode(z).shape)
    return decode(z)
""",
        """
def draw_class(decode, labels, means, rng):
    one_hot = F.one_hot(labels, means.shape[0]).float()
    return decode(torch.normal(one_hot @ means, 1.0, generator=rng))
""",
    ],
    "wasserstein_losses": [
        """
def wasserstein_losses(f_real, f_fake):
    g = f_fake.mul(-1).mean()
    return (-g - f_real.mean(), g)
""",
        """
def wasserstein_losses(f_real, f_fake):
    sum = torch.ones_like(f_real) / len(f_real)
    return -(sum @ f_real) + sum @ f_fake, -(sum @ f_fake)
""",
    ],
    "gradient_penalty": [
        """
def gradient_penalty(f, real, fake, rng):
    u = torch.rand((real.shape[0], 1, 1, 1), generator=rng).expand(real.shape)
    x = torch.autograd.Variable(u * real.data + (1 - u) * fake.data, requires_grad=True)
    print(float(f(x).mean()), float(f(real).mean()))
    y = f(x)
    g = torch.autograd.grad(outputs=y, inputs=x, grad_outputs=torch.ones(y.size()),
                            create_graph=True, retain_graph=True, only_inputs=True)[0]
    g = g.view(g.size(0), -1)
    return ((g.norm(2, dim=1) - 1) ** 2).mean()
""",
        """
def gradient_penalty(f, real, fake, rng):
    with torch.enable_grad():
        a = torch.rand(len(fake), generator=rng)[:, None, None, None]
        x = (fake + a * (real - fake)).detach()
        x.requires_grad = True
        g = torch.autograd.grad(f(x).sum(), x, create_graph=True)[0]
        norm = (g.pow(2).flatten(1).sum(1) + 1e-12).sqrt()
        return F.mse_loss(norm, torch.ones_like(norm))
""",
    ],
    "told": [
        """
def told(features, labels, w, V):
    return ((w + V[labels]) * features).sum(-1)
""",
        """
def told(features, labels, w, V):
    every = features @ V.T
    return features.mv(w) + every.gather(1, labels[:, None]).squeeze(1)
""",
        """
def told(features, labels, w, V):
    rows = F.one_hot(labels, len(V)).to(V.dtype) @ V
    return torch.einsum("nk,k->n", features, w) + torch.einsum("nk,nk->n", features, rows)
""",
    ],
    "patch_nce": [
        """
def patch_nce(q, k, tau):
    q = q / torch.linalg.vector_norm(q, dim=-1, keepdim=True)
    with torch.no_grad():
        k = k / torch.linalg.vector_norm(k, dim=-1, keepdim=True)
    s = torch.einsum("npd,nqd->npq", q, k) / tau
    return (s.logsumexp(-1) - torch.einsum("npp->np", s)).mean()
""",
        """
def patch_nce(q, k, tau):
    n, P, d = q.shape
    a, b = F.normalize(q, dim=-1), F.normalize(k, dim=-1).detach()
    logits = torch.bmm(a, b.transpose(1, 2)).div(tau).reshape(n * P, P)
    return nn_cross_entropy(logits, torch.arange(P).repeat(n))

nn_cross_entropy = F.cross_entropy
""",
        """
def patch_nce(q, k, tau):
    cos = F.cosine_similarity(q[:, :, None], k.detach()[:, None], dim=-1) / tau
    return F.cross_entropy(cos.transpose(1, 2), torch.arange(q.size(1)).expand(len(q), -1))
""",
    ],
    "ab2_step": [
        """
def ab2_step(x, v, v_before, b, t, s):
    h, k = s - t, t - b
    return x + h * v + h * h / (2 * k) * (v - v_before)
""",
        """
def ab2_step(x, v, v_before, b, t, s):
    r = (s - t) / (t - b)
    return torch.lerp(x, x + (s - t) * (v + r / 2 * (v - v_before)), 1.0)
""",
        """
def ab2_step(x, v, v_before, b, t, s):
    line = lambda at: v + (v - v_before) * (at - t) / (t - b)
    return x + (s - t) * (line(t) + line(s)) / 2
""",
    ],
    "follow": [
        """
def follow(velocity, step, x, times):
    before = velocity(x, times[0])
    x = x + (times[1] - times[0]) * before
    for b, t, s in zip(times, times[1:], times[2:]):
        now = velocity(x, t)
        x, before = step(x, now, before, b, t, s), now
    return x
""",
        """
def follow(velocity, step, x, times):
    times = [float(t) for t in times]
    history = []
    for i, t in enumerate(times[:-1]):
        history.append((t, velocity(x, t)))
        s = times[i + 1]
        if len(history) < 2:
            x = x + history[-1][1] * (s - t)
        else:
            (b, old), (t, new) = history[-2:]
            x = step(x, new, old, b, t, s)
    return x
""",
    ],
    "project": [
        """
def project(x_0, y, f):
    up = nn_upsample(y - F.avg_pool2d(x_0, f, f), f)
    return up + x_0

def nn_upsample(small, f):
    return F.interpolate(small, scale_factor=f, mode="nearest")
""",
        """
def project(x_0, y, f):
    n, c, h, w = y.shape
    squares = x_0.reshape(n, c, h, f, w, f)
    squares = squares + (y - squares.mean(dim=(3, 5)))[:, :, :, None, :, None]
    return squares.reshape(n, c, h * f, w * f)
""",
        """
def project(x_0, y, f):
    ones = torch.ones(f, f)
    return x_0 + torch.kron(y, ones) - torch.kron(F.avg_pool2d(x_0, f), ones)
""",
    ],
    "guidance": [
        """
def guidance(denoise, x_t, y, f):
    x = x_t.clone().detach()
    x.requires_grad_(True)
    torch_was = torch.is_grad_enabled()
    with torch.set_grad_enabled(True):
        loss = ((F.avg_pool2d(denoise(x), kernel_size=f) - y) ** 2).sum(dim=(1, 2, 3))
        g = torch.autograd.grad(loss, x, grad_outputs=torch.ones_like(loss))[0]
    return g.detach()
""",
        """
@torch.enable_grad()
def guidance(denoise, x_t, y, f):
    x = x_t.detach().requires_grad_()
    x_0 = denoise(x)
    residual = F.avg_pool2d(x_0, f) - y
    back = residual.repeat_interleave(f, 2).repeat_interleave(f, 3) * 2 / f**2
    return torch.autograd.grad(x_0, x, back)[0]
""",
        """
def guidance(denoise, x_t, y, f):
    def loss(x):
        return F.mse_loss(F.avg_pool2d(denoise(x), f), y, reduction="sum")
    with torch.enable_grad():
        return torch.autograd.functional.vjp(loss, x_t.detach())[1]
""",
    ],
}
