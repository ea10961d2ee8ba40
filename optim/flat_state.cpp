#include "optim/flat_optimizer.h"
#include "optim/kernels/update_math.h"

#include <torch/utils.h>

#include <algorithm>
#include <map>
#include <stdexcept>

namespace batchscope::optim {

namespace {

using Entries = std::map<std::string, torch::Tensor>;

const torch::Tensor& entry(const Entries& entries, const std::string& name) {
  const auto it = entries.find(name);
  if (it == entries.end()) {
    throw std::invalid_argument("optimizer: the state lacks \"" + name + "\"");
  }
  return it->second;
}

double number(const Entries& entries, const std::string& name) {
  const torch::Tensor& value = entry(entries, name);
  if (value.numel() != 1 || value.scalar_type() != torch::kDouble) {
    throw std::invalid_argument("optimizer: \"" + name + "\" must be one float64");
  }
  return value.item<double>();
}

torch::Tensor scalar(double value) {
  return torch::tensor(value, torch::kDouble);
}

bool is_momentum(Method method) {
  return method == Method::kSgd || method == Method::kLars;
}

}  // namespace

std::vector<std::pair<std::string, torch::Tensor>> Optimizer::save() const {
  auto state = state_views();
  for (auto& [name, tensor] : state) {
    tensor = tensor.clone(at::MemoryFormat::Contiguous);
  }
  return state;
}

std::vector<std::pair<std::string, torch::Tensor>> FlatOptimizer::state_views() const {
  std::vector<std::pair<std::string, torch::Tensor>> out;
  const bool momentum = is_momentum(options_.method), lars = options_.method == Method::kLars;
  const auto m = layout_.pieces(state_.m);
  const auto v = momentum ? m : layout_.pieces(state_.v);
  for (std::size_t k = 0; k < layout_.count(); ++k) {
    const std::string base = "state/" + layout_.name(k) + "/";
    out.emplace_back(base + (momentum ? "buf" : "m"), m[k]);
    if (!momentum) {
      out.emplace_back(base + "v", v[k]);
    }
    if (lars) {
      out.emplace_back(base + "ratio", scalar(state_.ratio[k]));
      out.emplace_back(base + "folded", scalar(state_.folded[k]));
    }
  }
  out.emplace_back("scalar/t", scalar(static_cast<double>(state_.t)));
  out.emplace_back(momentum ? "scalar/S" : "scalar/M1", scalar(state_.mass1));
  out.emplace_back("scalar/W1", scalar(state_.squares1));
  if (!momentum) {
    out.emplace_back("scalar/M2", scalar(state_.mass2));
    out.emplace_back("scalar/W2", scalar(state_.squares2));
    out.emplace_back("scalar/phase", scalar(static_cast<double>(state_.phase)));
  }
  return out;
}

void FlatOptimizer::load(const std::vector<std::pair<std::string, torch::Tensor>>& state) {
  const torch::NoGradGuard no_grad;
  const Entries entries(state.begin(), state.end());
  const bool momentum = is_momentum(options_.method), lars = options_.method == Method::kLars;
  State next = state_;
  const auto gather = [&](const char* what) {
    std::vector<torch::Tensor> list;
    for (const Parameter& p : layout_.parameters()) {
      list.push_back(entry(entries, "state/" + p.name + "/" + what));
    }
    return layout_.flatten(list);
  };
  next.m = gather(momentum ? "buf" : "m");
  next.v = momentum ? torch::Tensor() : gather("v");
  for (std::size_t k = 0; k < layout_.count() && lars; ++k) {
    const std::string base = "state/" + layout_.name(k) + "/";
    next.ratio[k] = number(entries, base + "ratio");
    next.folded[k] = number(entries, base + "folded");
  }
  next.t = static_cast<std::int64_t>(number(entries, "scalar/t"));
  next.mass1 = number(entries, momentum ? "scalar/S" : "scalar/M1");
  next.squares1 = number(entries, "scalar/W1");
  if (!momentum) {
    next.mass2 = number(entries, "scalar/M2");
    next.squares2 = number(entries, "scalar/W2");
    next.phase = static_cast<std::int64_t>(number(entries, "scalar/phase"));
  }
  state_ = std::move(next);
}

FlatOptimizer::Means FlatOptimizer::means_of(const std::vector<CanonicalState>& list) const {
  if (list.size() != layout_.count()) {
    throw std::invalid_argument("optimizer: expected the states of " +
                                std::to_string(layout_.count()) + " tensors, found " +
                                std::to_string(list.size()));
  }
  Means means;
  std::vector<torch::Tensor> m, v;
  bool any_m = false, any_v = false;
  for (const CanonicalState& s : list) {
    m.push_back(s.mhat);
    v.push_back(s.vhat);
    if (s.mhat.defined() && s.mass1 > means.mass1) {
      means.mass1 = s.mass1;
      means.squares1 = s.squares1;
    }
    if (s.vhat.defined() && s.mass2 > means.mass2) {
      means.mass2 = s.mass2;
      means.squares2 = s.squares2;
    }
    any_m = any_m || (s.mhat.defined() && s.mass1 > 0);
    any_v = any_v || (s.vhat.defined() && s.mass2 > 0);
  }
  means.m = any_m ? layout_.flatten(m) : torch::Tensor();
  means.v = any_v ? layout_.flatten(v) : torch::Tensor();
  return means;
}

std::vector<CanonicalState> FlatOptimizer::canonical_of(const Means& means) const {
  std::vector<CanonicalState> list(layout_.count());
  const auto m = means.m.defined() ? layout_.by_parameter(means.m)
                                   : std::vector<torch::Tensor>(layout_.count());
  const auto v = means.v.defined() ? layout_.by_parameter(means.v)
                                   : std::vector<torch::Tensor>(layout_.count());
  for (std::size_t i = 0; i < layout_.count(); ++i) {
    list[i] = {m[i], means.mass1, v[i], means.mass2, means.squares1, means.squares2};
  }
  return list;
}

}  // namespace batchscope::optim
