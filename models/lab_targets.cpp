#include "models/lab_targets.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

namespace batchscope::models::lab {
namespace {

std::size_t at(std::int64_t i) {
  return static_cast<std::size_t>(i);
}

template <typename T>
struct PictureTruth {
  const Box<T>* boxes;
  const std::int64_t* labels;
  std::int64_t slots;
  T height, width;
};

template <typename T>
void add_proposals(const T* head,
                   const std::vector<Box<T>>& anchors,
                   const PictureTruth<T>& picture,
                   std::vector<Box<T>>& boxes) {
  const auto count = static_cast<std::int64_t>(anchors.size());
  for (const std::int64_t a : top_indices(head, count, kTopRois)) {
    const T* d = head + count + a;
    boxes.push_back(decode<T>(anchors[at(a)],
                              {d[0], d[count], d[2 * count], d[3 * count]},
                              picture.width,
                              picture.height));
  }
}

/// A jittered copy of each true box, a drawn anchor for each empty slot, then drawn anchors.
template <typename T>
void add_drawn(const std::int64_t* pick,
               const float* jitter,
               const std::vector<Box<T>>& anchors,
               const PictureTruth<T>& picture,
               std::vector<Box<T>>& boxes) {
  const auto drawn = [&](std::int64_t k) {
    return clip<T>(anchors[at(pick[k])], picture.width, picture.height);
  };
  for (std::int64_t g = 0; g < picture.slots; ++g, jitter += 4) {
    const Box<T>& b = picture.boxes[g];
    boxes.push_back(picture.labels[g] < 0 ? drawn(kRandomRois + g)
                                          : Box<T>{b.x1 + T(jitter[0] * 1.5F),
                                                   b.y1 + T(jitter[1] * 1.5F),
                                                   b.x2 + T(jitter[2] * 1.5F),
                                                   b.y2 + T(jitter[3] * 1.5F)});
  }
  for (std::int64_t k = 0; k < kRandomRois; ++k) {
    boxes.push_back(drawn(k));
  }
}

/// Foreground: overlap >= 0.5 with a true box.
template <typename T>
void label_roi(const Box<T>& roi,
               const PictureTruth<T>& picture,
               std::int64_t background,
               RoiSample<T>& sample) {
  std::int64_t best = 0;
  T best_overlap = -1;
  for (std::int64_t g = 0; g < picture.slots; ++g) {
    const T v = picture.labels[g] >= 0 ? iou(roi, picture.boxes[g]) : T(0);
    if (v > best_overlap) {
      best = g;
      best_overlap = v;
    }
  }
  sample.labels.push_back(best_overlap >= T(0.5) ? picture.labels[best] : background);
  const Offsets<T> d = encode(roi, picture.boxes[best]);
  sample.offsets.push_back({d.dx * T(kOffsetWeights[0]),
                            d.dy * T(kOffsetWeights[1]),
                            d.dw * T(kOffsetWeights[2]),
                            d.dh * T(kOffsetWeights[3])});
}

}  // namespace

template <typename T>
Truth<T> pad_truth(const std::vector<Target>& targets, std::int64_t num_classes) {
  Truth<T> truth;
  truth.pictures = static_cast<std::int64_t>(targets.size());
  truth.slots = kMinSlots;
  for (const Target& target : targets) {
    if (target.boxes.dim() != 2 || target.boxes.size(1) != 4 ||
        target.labels.numel() != target.boxes.size(0)) {
      throw std::invalid_argument("lab_faster_rcnn: a target needs boxes [N, 4] and labels [N]");
    }
    truth.slots = std::max(truth.slots, target.boxes.size(0));
  }
  truth.boxes.assign(at(truth.pictures * truth.slots), Box<T>{0, 0, 0, 0});
  truth.labels.assign(truth.boxes.size(), -1);
  for (std::int64_t i = 0; i < truth.pictures; ++i) {
    const torch::Tensor boxes = targets[at(i)].boxes.to(torch::kCPU, torch::kFloat32).contiguous();
    const torch::Tensor labels = targets[at(i)].labels.to(torch::kCPU, torch::kInt64).contiguous();
    const auto* b = boxes.const_data_ptr<float>();
    const auto* l = labels.const_data_ptr<std::int64_t>();
    for (std::int64_t g = 0; g < labels.numel(); ++g, b += 4) {
      if (l[g] < 1 || l[g] > num_classes) {
        throw std::invalid_argument("lab_faster_rcnn: expected labels 1…" +
                                    std::to_string(num_classes) + ", found " +
                                    std::to_string(l[g]));
      }
      truth.boxes[at(i * truth.slots + g)] = {b[0], b[1], b[2], b[3]};
      truth.labels[at(i * truth.slots + g)] = l[g] - 1;
    }
  }
  return truth;
}

template <typename T>
std::vector<std::int64_t> top_indices(const T* values, std::int64_t count, std::int64_t n) {
  std::vector<std::int64_t> order(at(count));
  std::iota(order.begin(), order.end(), 0);
  n = std::min(n, count);
  std::partial_sort(
      order.begin(), order.begin() + n, order.end(), [values](std::int64_t a, std::int64_t b) {
        const bool nan_a = std::isnan(values[a]), nan_b = std::isnan(values[b]);
        if (nan_a != nan_b) {
          return nan_a;
        }
        return (!nan_a && values[a] != values[b]) ? values[a] > values[b] : a < b;
      });
  order.resize(at(n));
  return order;
}

template <typename T>
RoiSample<T> choose_rois(const torch::Tensor& head,
                         const std::vector<Box<T>>& anchors,
                         const Truth<T>& truth,
                         const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes,
                         std::int64_t num_classes,
                         torch::Generator& generator) {
  const auto count = static_cast<std::int64_t>(anchors.size());
  const std::int64_t n = truth.pictures, slots = truth.slots;
  const torch::Tensor picks =
      torch::randint(0, count, {n, kRandomRois + slots}, generator, torch::kInt64);
  const torch::Tensor jitter = torch::randn({n, slots, 4}, generator, torch::kFloat32);
  const std::int64_t per_picture = std::min(kTopRois, count) + slots + kRandomRois;
  RoiSample<T> sample;
  sample.rois = torch::empty({n * per_picture, 5}, head.options());
  sample.labels.reserve(at(n * per_picture));
  sample.offsets.reserve(at(n * per_picture));
  T* row = sample.rois.template mutable_data_ptr<T>();
  std::vector<Box<T>> boxes;
  for (std::int64_t i = 0; i < n; ++i) {
    const PictureTruth<T> picture{truth.boxes.data() + i * slots,
                                  truth.labels.data() + i * slots,
                                  slots,
                                  static_cast<T>(sizes[at(i)].first),
                                  static_cast<T>(sizes[at(i)].second)};
    boxes.clear();
    add_proposals(head.const_data_ptr<T>() + i * 5 * count, anchors, picture, boxes);
    add_drawn(picks.const_data_ptr<std::int64_t>() + i * (kRandomRois + slots),
              jitter.const_data_ptr<float>() + i * slots * 4,
              anchors,
              picture,
              boxes);
    for (const Box<T>& box : boxes) {
      const Box<T> roi = widen(box);
      label_roi(roi, picture, num_classes, sample);
      for (const T value : {static_cast<T>(i), roi.x1, roi.y1, roi.x2, roi.y2}) {
        *row++ = value;
      }
    }
  }
  return sample;
}

template Truth<float> pad_truth(const std::vector<Target>&, std::int64_t);
template std::vector<std::int64_t> top_indices(const float*, std::int64_t, std::int64_t);
template RoiSample<float> choose_rois(const torch::Tensor&,
                                      const std::vector<Box<float>>&,
                                      const Truth<float>&,
                                      const std::vector<std::pair<std::int64_t, std::int64_t>>&,
                                      std::int64_t,
                                      torch::Generator&);
template Truth<double> pad_truth(const std::vector<Target>&, std::int64_t);
template std::vector<std::int64_t> top_indices(const double*, std::int64_t, std::int64_t);
template RoiSample<double> choose_rois(const torch::Tensor&,
                                       const std::vector<Box<double>>&,
                                       const Truth<double>&,
                                       const std::vector<std::pair<std::int64_t, std::int64_t>>&,
                                       std::int64_t,
                                       torch::Generator&);

}  // namespace batchscope::models::lab
