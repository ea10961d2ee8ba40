#include "engine/distributed/gradient_sync.h"

#include "engine/contract/error.h"
#include "engine/distributed/c10d_group.h"
#include "engine/distributed/ddp_reducer.h"

#include <torch/autograd.h>
#include <torch/utils.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

namespace batchscope::train {
namespace {

/// How the gradients of a step meet; the same on all ranks, since it follows from the plan.
enum class Path {
  kSolo,        // a world of one: nothing to send
  kReducer,     // mean alone: c10d's Reducer, overlapped with the last backward
  kHalfGroups,  // every rank lies in one half: Reducer inside the half, then the partners exchange
  kTwoSums      // a rank may hold micro-batches of both halves: both sums are all-reduced
};

[[noreturn]] void refuse(const std::string& sentence) {
  throw std::invalid_argument("gradient sync: " + sentence);
}
void require(bool condition, const char* sentence) {
  if (!condition) {
    refuse(sentence);
  }
}

std::vector<torch::Tensor> zeros_for_undefined(std::vector<torch::Tensor> grads,
                                               const std::vector<torch::Tensor>& parameters) {
  for (std::size_t i = 0; i < grads.size(); ++i) {
    if (!grads[i].defined()) {
      grads[i] = torch::zeros_like(parameters[i]);
    }
  }
  return grads;
}

/// Sends what every rank holds in one flat buffer per half.
class TwoSums {
 public:
  TwoSums(const std::vector<torch::Tensor>& parameters, C10dGroup& group) : group_(group) {
    std::int64_t elements = 0;
    for (const auto& parameter : parameters) {
      elements += parameter.numel();
    }
    flat_ = torch::empty({2, elements}, parameters.front().options().requires_grad(false));
    for (int half = 0; half < 2; ++half) {
      std::int64_t offset = 0;
      for (const auto& parameter : parameters) {
        views_[half].push_back(
            flat_[half].narrow(0, offset, parameter.numel()).view(parameter.sizes()));
        offset += parameter.numel();
      }
    }
  }
  void begin() { flat_.zero_(); }
  /// Backward of one micro-batch into the sum of its half. By autograd::grad, since the Reducer's
  /// hooks on the parameters must not take it for theirs.
  void backward(const torch::Tensor& loss,
                const torch::Tensor& seed,
                const std::vector<torch::Tensor>& parameters,
                int half) {
    const auto seeds =
        seed.defined() ? std::vector<torch::Tensor>{seed} : std::vector<torch::Tensor>();
    const auto grads = torch::autograd::grad(
        {loss}, parameters, seeds, c10::nullopt, false, /*allow_unused=*/true);
    const torch::NoGradGuard no_grad;
    for (std::size_t i = 0; i < grads.size(); ++i) {
      if (grads[i].defined()) {
        views_[half][i].add_(grads[i]);
      }
    }
  }
  /// The sums over the ranks.
  const std::array<std::vector<torch::Tensor>, 2>& reduce() {
    // Pieces keep the transport busy while others are summed.
    constexpr std::int64_t kPiece = 4 << 20;  // elements
    group_.guarded("the all-reduce of both half-batch gradients", Activity::kAllReduce, [&] {
      std::vector<c10::intrusive_ptr<c10d::Work>> works;
      const torch::Tensor all = flat_.view({-1});
      for (std::int64_t begin = 0; begin < all.numel(); begin += kPiece) {
        std::vector<torch::Tensor> piece = {
            all.narrow(0, begin, std::min(kPiece, all.numel() - begin))};
        works.push_back(group_.process_group()->allreduce(piece));
      }
      for (const auto& work : works) {
        work->wait();
      }
    });
    return views_;
  }

 private:
  C10dGroup& group_;
  torch::Tensor flat_;
  std::array<std::vector<torch::Tensor>, 2> views_;
};

}  // namespace

struct GradientSync::Impl {
  Impl(std::vector<torch::Tensor> given, std::shared_ptr<Group> with)
      : parameters(std::move(given)),
        group(std::move(with)),
        c10d_group(std::dynamic_pointer_cast<C10dGroup>(group)),
        stash(parameters.size()) {
    require(!parameters.empty(), "a model without parameters");
    for (const auto& parameter : parameters) {
      require(parameter.requires_grad() && parameter.is_leaf(),
              "every parameter must be a leaf that requires a gradient");
      require(parameter.dtype() == parameters.front().dtype() &&
                  parameter.device() == parameters.front().device(),
              "all parameters must share one dtype and device");
    }
    if (c10d_group) {
      reducer = std::make_unique<DdpReducer>(parameters, c10d_group);
    }
  }

  std::int64_t pictures_of(std::int64_t micro) const {
    return micro < plan.micros - 1 ? plan.micro : plan.pictures - plan.micro * (plan.micros - 1);
  }
  int half_of(std::int64_t micro) const {
    if (!plan.measure) {
      return 0;
    }
    return int(plan.interleave ? micro % 2 : (micro < plan.micros / 2 ? 0 : 1));
  }

  void check_plan() const;
  Path choose_path() const;
  void begin(const SyncPlan& next_plan);
  void select_half(int half);
  void backward(const torch::Tensor& loss, std::int64_t number, std::int64_t pictures);
  std::array<std::vector<torch::Tensor>, 2> take_grads();
  void combine(StepGradients& out) const;
  StepGradients finish();

  const std::vector<torch::Tensor> parameters;
  const std::shared_ptr<Group> group;
  const std::shared_ptr<C10dGroup> c10d_group;  // null: a world of one
  std::unique_ptr<DdpReducer> reducer;
  std::unique_ptr<TwoSums> two_sums;

  SyncPlan plan;
  Path path = Path::kSolo;
  std::int64_t next = 0;  // micro-batch that comes next
  std::array<double, 2> pictures{};
  bool reduced = false;              // the Reducer ran in this step
  int selected = 0;                  // half whose sum stands in grad()
  std::vector<torch::Tensor> stash;  // sum of the other half
};

void GradientSync::Impl::check_plan() const {
  const std::int64_t rest = plan.pictures - plan.micro * (plan.micros - 1);
  if (plan.micro < 1 || plan.micros < 1 || rest < 1 || rest > plan.micro) {
    refuse(std::to_string(plan.pictures) + " pictures do not make " + std::to_string(plan.micros) +
           " micro-batches of " + std::to_string(plan.micro));
  }
  require(0 <= plan.first_micro && plan.first_micro <= plan.last_micro &&
              plan.last_micro <= plan.micros,
          "this rank's micro-batches lie outside of the step");
  require(group->size() > 1 || (plan.first_micro == 0 && plan.last_micro == plan.micros),
          "the only rank must hold all micro-batches");
  require(!plan.measure || plan.micros >= 2, "half-batch means need at least two micro-batches");
}

/// N == W·K with whole ranks in each half is seen by all ranks alike: in a small last step, where
/// the ranks' counts differ, it holds for none of them.
Path GradientSync::Impl::choose_path() const {
  if (!c10d_group) {
    return Path::kSolo;
  }
  if (!plan.measure) {
    return Path::kReducer;
  }
  const std::int64_t own = plan.last_micro - plan.first_micro;
  const bool whole = plan.micros == own * group->size() && plan.first_micro == own * group->rank();
  return whole && !plan.interleave && group->size() % 2 == 0 ? Path::kHalfGroups : Path::kTwoSums;
}

void GradientSync::Impl::begin(const SyncPlan& next_plan) {
  plan = next_plan;
  check_plan();
  path = choose_path();
  next = plan.first_micro;
  reduced = false;
  selected = 0;
  pictures = {};
  if (plan.measure) {
    for (std::int64_t j = 0; j < plan.micros; ++j) {
      pictures[std::size_t(half_of(j))] += double(pictures_of(j));
    }
  }
  if (path == Path::kTwoSums) {
    if (!two_sums) {
      two_sums = std::make_unique<TwoSums>(parameters, *c10d_group);
    }
    two_sums->begin();
  }
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    // Undefined, so that autograd hands over its own buffer instead of adding to zeros.
    parameters[i].mutable_grad().reset();
    stash[i].reset();
  }
}

void GradientSync::Impl::select_half(int half) {
  if (half == selected) {
    return;
  }
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    std::swap(parameters[i].mutable_grad(), stash[i]);
  }
  selected = half;
}

void GradientSync::Impl::backward(const torch::Tensor& loss,
                                  std::int64_t number,
                                  std::int64_t count) {
  if (number != next || number >= plan.last_micro) {
    refuse("micro-batch " + std::to_string(number) + " came where " + std::to_string(next) +
           " was expected");
  }
  if (count != pictures_of(number)) {
    refuse("micro-batch " + std::to_string(number) + " has " + std::to_string(count) +
           " pictures; expected " + std::to_string(pictures_of(number)));
  }
  ++next;
  const int half = half_of(number);
  if (!loss.requires_grad()) {
    return;  // nothing that can be learned from: its gradient is zero
  }
  const double whole = plan.measure ? pictures[std::size_t(half)] : double(plan.pictures);
  const double weight = double(count) / whole;
  const auto seed = weight == 1.0 ? torch::Tensor() : torch::full_like(loss.detach(), weight);
  const bool reduces = path == Path::kReducer || path == Path::kHalfGroups;
  if (reduces && next == plan.last_micro) {
    reduced = true;
    reducer->backward(loss, seed, path == Path::kHalfGroups);
  } else if (path == Path::kTwoSums) {
    two_sums->backward(loss, seed, parameters, half);
  } else {
    if (path == Path::kSolo) {
      select_half(half);
    }
    loss.backward(seed);
  }
}

std::array<std::vector<torch::Tensor>, 2> GradientSync::Impl::take_grads() {
  select_half(0);
  std::array<std::vector<torch::Tensor>, 2> grads;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    grads[0].push_back(parameters[i].grad());
    grads[1].push_back(stash[i]);
  }
  return grads;
}

/// mean = (p1·G1 + p2·G2) / (p1 + p2), with the statistics that the same pass gives.
void GradientSync::Impl::combine(StepGradients& out) const {
  optim::HalfMean both =
      optim::halves_mean(out.half1, out.half2, pictures[1] / double(plan.pictures));
  out.mean = std::move(both.mean);
  out.dots = std::move(both.dots);
  out.squares = std::move(both.squares);
}

StepGradients GradientSync::Impl::finish() {
  if (next != plan.last_micro) {
    refuse("micro-batch " + std::to_string(next) + " has not come before finish");
  }
  const torch::NoGradGuard no_grad;
  StepGradients out;
  out.pictures1 = pictures[0];
  out.pictures2 = pictures[1];
  if ((path == Path::kReducer || path == Path::kHalfGroups) && !reduced) {
    reducer->backward_of_nothing(path == Path::kHalfGroups);
  }
  if (path == Path::kHalfGroups) {
    reducer->exchange_halves(out);
  } else if (path == Path::kTwoSums) {
    const auto& sums = two_sums->reduce();
    out.half1 = sums[0];
    out.half2 = sums[1];
  } else {
    auto grads = take_grads();
    auto& first = plan.measure ? out.half1 : out.mean;
    first = zeros_for_undefined(std::move(grads[0]), parameters);
    if (plan.measure) {
      out.half2 = zeros_for_undefined(std::move(grads[1]), parameters);
    }
  }
  if (plan.measure) {
    combine(out);
  }
  return out;
}

GradientSync::GradientSync(std::vector<torch::Tensor> parameters, std::shared_ptr<Group> group)
    : impl_(std::make_unique<Impl>(std::move(parameters), std::move(group))) {}
GradientSync::~GradientSync() = default;
void GradientSync::begin(const SyncPlan& plan) {
  impl_->begin(plan);
}
void GradientSync::backward(const torch::Tensor& loss, std::int64_t number, std::int64_t pictures) {
  impl_->backward(loss, number, pictures);
}
StepGradients GradientSync::finish() {
  return impl_->finish();
}

}  // namespace batchscope::train
