#include "models/weights/load_weights.h"

#include "models/weights/key_names.h"
#include "models/weights/weight_error.h"

#include <torch/utils.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

namespace batchscope::models {
namespace {

constexpr const char* kCounter = "num_batches_tracked";
constexpr const char* kBackbone = "backbone.body.";
/// Layers with one group of outputs per class, in torchvision's models and ours.
constexpr std::array kPredictors = {
    "cls_score", "bbox_pred", "mask_fcn_logits", "cls_logits", "predictor", "cls", "fc", "logits"};

using Tensors = std::map<std::string, torch::Tensor>;

Tensors tensors_of(const torch::nn::Module& model) {
  Tensors tensors;
  for (const auto& item : model.named_parameters()) {
    tensors.emplace(item.key(), item.value());
  }
  for (const auto& item : model.named_buffers()) {
    tensors.emplace(item.key(), item.value());
  }
  return tensors;
}

bool is_counter(const std::string& name) {
  return name.substr(name.rfind('.') + 1) == kCounter;
}

std::string layer_of(const std::string& name) {
  const std::size_t dot = name.rfind('.');
  return dot == std::string::npos ? "" : name.substr(0, dot);
}

/// True when the shapes differ in the number of outputs of a predictor alone.
bool other_classes(const LoadReport::Mismatch& pair) {
  const std::string layer = layer_of(pair.name);
  const std::string own = layer.substr(layer.rfind('.') + 1);
  // The RPN's cls_logits count anchors.
  return !layer.starts_with("rpn.") && std::ranges::find(kPredictors, own) != kPredictors.end() &&
         pair.in_file.size() == pair.in_model.size() && !pair.in_file.empty() &&
         std::equal(pair.in_file.begin() + 1, pair.in_file.end(), pair.in_model.begin() + 1);
}

/// Whose names these are, where they are known: " (its names are Detectron2's)".
std::string zoo_of(const TensorFile& file) {
  constexpr std::array<std::pair<const char*, const char*>, 4> kSigns = {
      {{"backbone.bottom_up.", "Detectron2's"},
       {"proposal_generator.rpn_head.", "Detectron2's"},
       {"neck.lateral_convs.", "MMDetection's"},
       {"bbox_head.", "MMDetection's"}}};
  for (const auto& [sign, zoo] : kSigns) {
    for (const WeightEntry& entry : file.index().entries) {
      if (entry.name.find(sign) != std::string::npos) {
        return std::string(" (its names are ") + zoo + ", expected torchvision's)";
      }
    }
  }
  return {};
}

class Loading {
 public:
  Loading(torch::nn::Module& model, const TensorFile& file)
      : file_(file), tensors_(tensors_of(model)) {
    report_.file = file.origin();
    if (!file.index().path.empty()) {
      report_.file += " (" + shown(file.index().path) + ")";
    }
    report_.other_sets = file.index().other_sets;
  }

  LoadReport run() {
    if (file_.index().entries.empty()) {
      refuse_file(file_.origin(), "holds no tensors" + others());
    }
    choose_names();
    for (std::size_t i = 0; i < names_.size(); ++i) {
      if (outside_.empty() || !outside_[i]) {
        place(file_.index().entries[i], names_[i]);
      } else {
        report_.unexpected.push_back(names_[i]);
      }
    }
    require_fit();
    find_missing();
    note_counters();
    note_statistics();
    if (const std::string part = lone_part(file_.origin()); !part.empty()) {
      report_.notes.push_back(part);
    }
    return std::move(report_);
  }

 private:
  /// One name in common, such as "cls_score.weight", is chance: what it holds is of another model.
  void require_fit() const {
    constexpr std::size_t kTimes = 10;
    const std::size_t known = seen_.size();
    const std::string its = zoo_of(file_) + ": it has " + shown(names_.front()) +
                            ", the model has " +
                            (tensors_.empty() ? "none" : shown(tensors_.begin()->first));
    if (report_.matched.empty()) {
      refuse_file(file_.origin(), "fits nothing of the model" + its);
    }
    if (known * kTimes < tensors_.size() && known * 2 < names_.size()) {
      refuse_file(file_.origin(),
                  "fits next to nothing of the model, " + std::to_string(known) + " of its " +
                      std::to_string(names_.size()) + " names" + its);
    }
  }

  /// What a checkpoint holds instead of a model.
  std::string others() const {
    constexpr std::size_t kMost = 3;
    const std::vector<std::string>& all = file_.index().others;
    std::string text;
    for (std::size_t i = 0; i < std::min(all.size(), kMost); ++i) {
      text += (i == 0 ? " of a model, but " : ", ") + shown(all[i]);
    }
    return text;
  }

  std::size_t fitting(const std::vector<std::string>& names) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        names, [&](const std::string& name) { return tensors_.contains(name); }));
  }

  /// The reading of the file's names of which most are the model's: as they are, below the model's
  /// backbone, or without a prefix (a trainer's own module), beside which other things may lie.
  void choose_names() {
    std::vector<std::string> in_file;
    for (const WeightEntry& entry : file_.index().entries) {
      in_file.push_back(entry.name);
    }
    const std::vector<std::string> current = current_names(in_file);
    names_ = current;
    for (std::size_t i = 0; i < names_.size(); ++i) {
      if (tensors_.contains(in_file[i])) {
        names_[i] = in_file[i];
      }
    }
    std::vector<std::string> below = current;
    for (std::string& name : below) {
      name.insert(0, kBackbone);
    }
    const auto [prefix, inside] = prefix_of_most(current);
    if (fitting(below) > std::max(fitting(names_), inside)) {
      names_ = below;
      report_.notes.emplace_back("Its names were read below \"backbone.body.\".");
    } else if (inside > fitting(names_)) {
      take_away(prefix, current);
    }
    for (std::size_t i = 0; i < names_.size() && report_.notes.empty(); ++i) {
      if (names_[i] != in_file[i]) {
        report_.renamed.emplace_back(in_file[i], names_[i]);
      }
    }
  }

  /// The prefix without which most names are the model's, and how many; of equals the first.
  std::pair<std::string, std::size_t> prefix_of_most(const std::vector<std::string>& names) const {
    constexpr int kMostParts = 6;
    std::map<std::string, std::size_t> votes;
    std::pair<std::string, std::size_t> most{"", 0};
    for (const std::string& name : names) {
      std::size_t dot = name.find('.');
      for (int part = 0; part < kMostParts && dot != std::string::npos; ++part) {
        if (tensors_.contains(current_name(name.substr(dot + 1)))) {
          ++votes[name.substr(0, dot + 1)];
        }
        dot = name.find('.', dot + 1);
      }
    }
    for (const auto& [prefix, count] : votes) {
      if (count > most.second) {
        most = {prefix, count};
      }
    }
    return most;
  }

  void take_away(const std::string& prefix, const std::vector<std::string>& names) {
    names_ = names;
    outside_.assign(names.size(), true);
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (names[i].starts_with(prefix)) {
        names_[i] = current_name(names[i].substr(prefix.size()));
        outside_[i] = false;
      }
    }
    report_.notes.push_back("Its names were read without " + shown(prefix) + ".");
  }

  void place(const WeightEntry& entry, const std::string& name) {
    const auto found = tensors_.find(name);
    if (found == tensors_.end() && is_counter(name)) {
      ++unused_counters_;
      return;
    }
    if (found == tensors_.end() || !seen_.insert(name).second) {
      report_.unexpected.push_back(name);
      return;
    }
    LoadReport::Mismatch pair{name, entry.shape, found->second.sizes().vec()};
    if (pair.in_file == pair.in_model) {
      found->second.copy_(file_.read(entry));
      report_.matched.push_back(name);
    } else if (other_classes(pair)) {
      report_.reinitialised.push_back(std::move(pair));
    } else {
      report_.wrong_shape.push_back(std::move(pair));
    }
  }

  void find_missing() {
    for (const auto& [name, tensor] : tensors_) {
      if (seen_.contains(name)) {
        continue;
      }
      if (is_counter(name)) {
        ++missing_counters_;
      } else {
        report_.missing.push_back(name);
      }
    }
  }

  void note_counters() {
    if (missing_counters_ > 0) {
      report_.notes.push_back(std::to_string(missing_counters_) + " " + kCounter +
                              " are not in the file, as of frozen norms: they start at 0.");
    }
    if (unused_counters_ > 0) {
      report_.notes.push_back(std::to_string(unused_counters_) + " " + kCounter +
                              " of the file are not needed: the model's norms do not count.");
    }
  }

  /// Scales and shifts alone make other maps of what the file's layers were trained on.
  void note_statistics() {
    const auto lost = std::count_if(
        report_.unexpected.begin(), report_.unexpected.end(), [](const std::string& name) {
          return name.ends_with("running_mean");
        });
    if (lost > 0) {
      report_.notes.push_back("The running statistics of " + std::to_string(lost) +
                              " batch norms are not taken, as this model's norms have none: "
                              "model.norm frozen or bn takes them.");
    }
  }

  const TensorFile& file_;
  Tensors tensors_;
  std::vector<std::string> names_;
  std::vector<bool> outside_;  // names without the prefix of the model's; empty: none
  std::set<std::string> seen_;
  std::int64_t missing_counters_ = 0, unused_counters_ = 0;
  LoadReport report_;
};

}  // namespace

LoadReport load_weights(torch::nn::Module& model, const TensorFile& file) {
  const torch::NoGradGuard no_grad;
  return Loading(model, file).run();
}

}  // namespace batchscope::models
