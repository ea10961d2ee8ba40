#include "app/bench_eval_data.h"

#include "engine/contract/error.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iomanip>
#include <random>
#include <vector>

namespace batchscope {
namespace {

struct Box {
  double x = 0, y = 0, w = 0, h = 0;
  std::int64_t category = 0;
};

/// A text file; writing is checked once, at the end.
class TextFile {
 public:
  explicit TextFile(const std::string& path) : path_(path), stream_(path) {
    stream_ << std::fixed << std::setprecision(2);
  }
  std::ostream& out() { return stream_; }
  void close() {
    if (!stream_.flush()) {
      throw contract::StorageError("Could not write " + path_ + ".");
    }
  }

 private:
  std::string path_;
  std::ofstream stream_;
};

std::ostream& operator<<(std::ostream& out, const Box& b) {
  return out << "\"category_id\": " << b.category << ", \"bbox\": [" << b.x << ", " << b.y << ", "
             << b.w << ", " << b.h << "]";
}

class Scene {
 public:
  explicit Scene(const EvalDataOptions& options)
      : random_(options.seed), category_(1, options.classes) {}

  void draw_objects() {
    objects_.clear();
    const int count = std::poisson_distribution<int>(7.3)(random_);
    for (int i = 0; i < count; ++i) {
      const double w = side(), h = side();
      objects_.push_back({uniform() * (640 - std::min(w, 600.0)),
                          uniform() * (480 - std::min(h, 440.0)),
                          w,
                          h,
                          category_(random_)});
    }
  }
  const std::vector<Box>& objects() const { return objects_; }
  bool crowd() { return uniform() < 0.012; }

  /// A detection and its score.
  std::pair<Box, double> detection() {
    if (objects_.empty() || uniform() >= 0.45) {
      const Box box{uniform() * 400, uniform() * 400, side(), side(), category_(random_)};
      return {box, beta(1.2, 6)};
    }
    Box box = objects_[random_() % objects_.size()];
    box.x += 0.12 * normal() * box.w;
    box.y += 0.12 * normal() * box.h;
    box.w *= std::exp(0.12 * normal());
    box.h *= std::exp(0.12 * normal());
    box.category = uniform() < 0.85 ? box.category : category_(random_);
    return {box, beta(4, 3)};
  }

 private:
  double uniform() { return std::uniform_real_distribution<double>(0, 1)(random_); }
  double normal() { return std::normal_distribution<double>(0, 1)(random_); }
  double side() { return std::clamp(std::exp(4 + normal()), 4.0, 400.0); }
  double beta(double a, double b) {
    const double x = std::gamma_distribution<double>(a)(random_);
    const double y = std::gamma_distribution<double>(b)(random_);
    return x / (x + y);
  }
  std::mt19937_64 random_;
  std::uniform_int_distribution<std::int64_t> category_;
  std::vector<Box> objects_;
};

}  // namespace

void write_eval_data(const EvalDataOptions& options,
                     const std::string& truth_path,
                     const std::string& results_path) {
  TextFile truth(truth_path), results(results_path);
  Scene scene(options);
  std::int64_t objects = 0, found = 0;
  truth.out() << R"({"annotations": [)";
  results.out() << "[";
  for (std::int64_t image = 1; image <= options.images; ++image) {
    scene.draw_objects();
    for (const Box& b : scene.objects()) {
      ++objects;
      truth.out() << (objects == 1 ? "" : ", ") << R"({"id": )" << objects << R"(, "image_id": )"
                  << image << ", " << b << R"(, "area": )" << 0.6 * b.w * b.h << R"(, "iscrowd": )"
                  << (scene.crowd() ? 1 : 0) << "}";
    }
    for (std::int64_t k = 0; k < options.detections; ++k) {
      const auto [b, score] = scene.detection();
      ++found;
      results.out() << (found == 1 ? "" : ", ") << R"({"image_id": )" << image << ", " << b
                    << R"(, "score": )" << std::setprecision(k % 2 == 1 ? 3 : 6)  // some are equal
                    << score << std::setprecision(2) << "}";
    }
  }
  truth.out() << R"(], "images": [)";
  for (std::int64_t image = 1; image <= options.images; ++image) {
    truth.out() << (image == 1 ? "" : ", ") << R"({"id": )" << image
                << R"(, "width": 640, "height": 480})";
  }
  truth.out() << R"(], "categories": [)";
  for (std::int64_t c = 1; c <= options.classes; ++c) {
    truth.out() << (c == 1 ? "" : ", ") << R"({"id": )" << c << R"(, "name": "class )" << c
                << "\"}";
  }
  truth.out() << "]}\n";
  results.out() << "]\n";
  truth.close();
  results.close();
}

}  // namespace batchscope
