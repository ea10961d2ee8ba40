#include "engine/contract/spec_key_table.h"

namespace batchscope::contract::detail {

void add_optim_keys(KeyTable& b) {
  b.add("optim.name",
        AT(optim.name),
        one_of({"sgd", "adamw", "lars", "lamb", "pmd_lamb"}),
        "optimizer");
  b.add("optim.lr", AT(optim.lr), above(0), "learning rate at base_batch (rule none: as it is)");
  b.add("optim.lr_rule",
        AT(optim.lr_rule),
        one_of({"none", "linear", "sqrt", "mixed"}),
        "how lr scales with the effective batch");
  b.add("optim.base_batch", AT(optim.base_batch), at_least(1), "batch that lr is meant for");
  b.add("optim.lr_on_batch_change",
        AT(optim.lr_on_batch_change),
        one_of({"keep", "rule"}),
        "lr when the batch changes live");
  b.add("optim.momentum", AT(optim.momentum), from_below(0, 1), "SGD, LARS: momentum");
  b.add("optim.dampening", AT(optim.dampening), from_below(0, 1), "SGD: dampening");
  b.add("optim.nesterov", AT(optim.nesterov), any(), "SGD: Nesterov's form");
  b.add("optim.betas",
        AT(optim.betas),
        from_below(0, 1),
        "AdamW, LAMB family: decay of the first and second moment");
  b.add("optim.eps",
        AT(optim.eps),
        at_least(0),
        "added to the root of the second moment; default 1e-8, LAMB family 1e-6");
  b.add("optim.weight_decay", AT(optim.weight_decay), at_least(0), "weight decay");
  b.add("optim.clip_norm",
        AT(optim.clip_norm),
        at_least(0),
        "bound of the global gradient norm; 0: off");
  b.add("optim.clip_form",
        AT(optim.clip_form),
        one_of({"torch", "lamb"}),
        "form of clipping; default torch, LAMB family lamb");
  b.add("optim.lamb.trust_clamp", AT(optim.lamb.trust_clamp), any(), "bound the trust ratio");
  b.add("optim.lamb.trust_min", AT(optim.lamb.trust_min), above(0), "least trust ratio");
  b.add("optim.lamb.trust_max", AT(optim.lamb.trust_max), above(0), "greatest trust ratio");
  b.add("optim.lamb.exclude_1d",
        AT(optim.lamb.exclude_1d),
        any(),
        "1-D tensors: trust ratio 1 and no decay");
  b.add("optim.lamb.always_adapt",
        AT(optim.lamb.always_adapt),
        any(),
        "trust ratio also without weight decay");
  b.add("optim.lamb.bias_correction",
        AT(optim.lamb.bias_correction),
        any(),
        "divide moments by their masses");
  b.add("optim.lamb.folded_bias",
        AT(optim.lamb.folded_bias),
        any(),
        "bias correction, if on, as a factor on the rate (DeepSpeed)");
  b.add("optim.lamb.grad_averaging",
        AT(optim.lamb.grad_averaging),
        any(),
        "weight the new gradient by 1 - beta1; off: by 1");
  b.add("optim.lamb.decay",
        AT(optim.lamb.decay),
        one_of({"inside", "decoupled", "l2"}),
        "weight decay in the update, beside it, or in the gradient (the latter two on the CPU)");
  b.add("optim.lamb.skip_dead",
        AT(optim.lamb.skip_dead),
        any(),
        "leave tensors without any gradient alone");
  b.add("optim.lars.trust_coefficient",
        AT(optim.lars.trust_coefficient),
        above(0),
        "LARS: trust coefficient");
  b.add("optim.lars.form",
        AT(optim.lars.form),
        one_of({"post", "pre"}),
        "LARS: lr after or inside the momentum buffer");
  b.add("optim.lars.clip", AT(optim.lars.clip), any(), "LARS: bound the ratio by lr");
  b.add("optim.lars.exclude_1d",
        AT(optim.lars.exclude_1d),
        any(),
        "LARS: 1-D tensors unscaled and without decay");
  b.add("optim.lars.compat_ratio1",
        AT(optim.lars.compat_ratio1),
        any(),
        "LARS: ratio 1 at a zero gradient, as other codes do");
  b.add("optim.lars.compat_untouched",
        AT(optim.lars.compat_untouched),
        any(),
        "LARS: at a zero norm neither scaling nor decay, as apex does (CPU); over compat_ratio1");
  b.add("optim.lars.decay_in_ratio",
        AT(optim.lars.decay_in_ratio),
        any(),
        "LARS: weight decay counts in the ratio's denominator");
  b.add("optim.lars.always_adapt",
        AT(optim.lars.always_adapt),
        any(),
        "LARS: scale also without weight decay");
  b.add("optim.pmd.period",
        AT(optim.pmd.period),
        at_least(1),
        "PMD-LAMB: updates per period; default 200, short runs max(20, steps/7)");
  b.add("optim.pmd.curve",
        AT(optim.pmd.curve),
        one_of({"cosine", "linear"}),
        "PMD-LAMB: curve from 1 to 0");
  b.add("optim.pmd.variant",
        AT(optim.pmd.variant),
        one_of({"moment_scale", "beta_scale", "readout"}),
        "PMD-LAMB: reading of the paper");
  b.add("optim.pmd.hit_zero",
        AT(optim.pmd.hit_zero),
        any(),
        "PMD-LAMB: the last coefficient of a period is 0");
  b.add("optim.pmd.start",
        AT(optim.pmd.start),
        at_least(0),
        "PMD-LAMB: updates before the first period; default: the warm-up");
  b.add("optim.agvm.enabled",
        AT(optim.agvm.enabled),
        any(),
        "AGVM: modulate the learning rate of the modules");
  b.add("optim.agvm.observe",
        AT(optim.agvm.observe),
        any(),
        "AGVM: measure the gradient variance while off");
  b.add("optim.agvm.interval",
        AT(optim.agvm.interval),
        at_least(1),
        "AGVM: updates between measurements");
  b.add("optim.agvm.alpha", AT(optim.agvm.alpha), from_below(0, 1), "AGVM: memory of the factors");
  b.add("optim.agvm.start",
        AT(optim.agvm.start),
        at_least(1),
        "AGVM: first measuring update; default: warm-up + 100, short runs 1.2 x warm-up");
  b.add("optim.agvm.stop", AT(optim.agvm.stop), at_least(1), "AGVM: last measuring update");
  b.add("optim.agvm.anchor", AT(optim.agvm.anchor), any(), "AGVM: module whose factor stays 1");
  b.add("optim.agvm.clamp",
        AT(optim.agvm.clamp),
        above(0),
        "AGVM: bounds of the ratio before the root");
  b.add("optim.agvm.interleave",
        AT(optim.agvm.interleave),
        any(),
        "AGVM: halves are even and odd micro-batches");
  b.add("optim.agvm.compat_official",
        AT(optim.agvm.compat_official),
        any(),
        "AGVM: the published code's scale in the preconditioner");
  b.add(
      "optim.shadow",
      AT(optim.shadow),
      any(),
      "other optimizers fed the same gradients: name, label, and the keys of [optim] that differ");
}

}  // namespace batchscope::contract::detail
