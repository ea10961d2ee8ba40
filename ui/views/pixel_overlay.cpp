#include "ui/views/pixel_overlay.h"

#include "ui/views/theme.h"

#include <algorithm>
#include <vector>

namespace batchscope::views {
namespace {

constexpr int kMaskAlpha = 110, kClassAlpha = 90, kOutlineAlpha = 220;

/// A number for every pixel, row by row; 0: nothing there.
using Plane = std::vector<std::uint32_t>;

class Overlay {
 public:
  Overlay(int width, int height)
      : width_(width), height_(height), image_(width, height, QImage::Format_ARGB32_Premultiplied) {
    image_.fill(Qt::transparent);
  }

  Plane plane() const {
    return Plane(static_cast<std::size_t>(width_) * static_cast<std::size_t>(height_));
  }
  /// Sets the pixels of a mask: runs of 0, 1, 0, … down the columns.
  void draw(const std::vector<std::uint32_t>& runs, std::uint32_t value, Plane& plane) const {
    std::size_t at = 0;
    bool inside = false;
    for (const std::uint32_t run : runs) {
      const std::size_t end = std::min(at + run, plane.size());
      const auto width = static_cast<std::size_t>(width_),
                 height = static_cast<std::size_t>(height_);
      for (std::size_t x = at / height, y = at % height; inside && at < end; ++at) {
        plane[y * width + x] = value;
        if (++y == height) {
          y = 0;
          ++x;
        }
      }
      at = end;
      inside = !inside;
    }
  }
  /// The classes of all pixels: label, length, … row by row.
  Plane classes(const std::vector<std::uint32_t>& runs) const {
    Plane plane = this->plane();
    std::size_t at = 0;
    for (std::size_t i = 0; i + 1 < runs.size(); i += 2) {
      const std::size_t end = std::min(at + runs[i + 1], plane.size());
      std::fill(plane.begin() + static_cast<std::ptrdiff_t>(at),
                plane.begin() + static_cast<std::ptrdiff_t>(end),
                runs[i]);
      at = end;
    }
    return plane;
  }
  /// Colours by class; plane: labels.
  void fill(const Plane& plane, int alpha) {
    const Palette palette = darkPalette();
    std::uint32_t label = 0;
    QRgb colour = 0;
    eachRow(plane, [&](QRgb* row, const std::uint32_t* value, int) {
      for (int x = 0; x < width_; ++x) {
        if (value[x] == 0) {
          continue;
        }
        if (value[x] != label) {
          label = value[x];
          colour = premultiplied(palette.seriesColor(static_cast<int>(label)), alpha);
        }
        row[x] = colour;
      }
    });
  }
  /// White where a pixel's right or lower neighbour is another.
  void outline(const Plane& plane) {
    const QRgb white = premultiplied(Qt::white, kOutlineAlpha);
    eachRow(plane, [&](QRgb* row, const std::uint32_t* value, int y) {
      for (int x = 0; x < width_; ++x) {
        const bool right = x + 1 < width_ && value[x] != value[x + 1];
        const bool below = y + 1 < height_ && value[x] != value[x + width_];
        if (right || below) {
          row[x] = white;
        }
      }
    });
  }
  QImage take() { return std::move(image_); }

 private:
  static QRgb premultiplied(const QColor& colour, int alpha) {
    return qPremultiply(qRgba(colour.red(), colour.green(), colour.blue(), alpha));
  }
  /// visit(pixels of a row, its numbers, y).
  template <typename Visit>
  void eachRow(const Plane& plane, const Visit& visit) {
    const std::uint32_t* value = plane.data();
    for (int y = 0; y < height_; ++y, value += width_) {
      visit(reinterpret_cast<QRgb*>(image_.scanLine(y)), value, y);
    }
  }
  int width_, height_;
  QImage image_;
};

/// The masks that are shown, the best on top; values: what `value` makes of a box's number.
template <typename Value>
Plane masksOf(const Overlay& overlay,
              const contract::PixelRecord& pixels,
              const QList<session::BoxItem>& boxes,
              double threshold,
              const Value& value) {
  Plane plane = overlay.plane();
  const auto count =
      std::min<std::size_t>(pixels.masks.size(), static_cast<std::size_t>(boxes.size()));
  for (std::size_t k = count; k-- > 0;) {
    if (boxes[static_cast<qsizetype>(k)].score >= threshold) {
      overlay.draw(pixels.masks[k], value(k), plane);
    }
  }
  return plane;
}

}  // namespace

QImage pixelOverlay(const session::ProbeItem& probe, const OverlayChoice& choice) {
  Overlay overlay(std::max(probe.width, 1), std::max(probe.height, 1));
  const auto label_of = [](const QList<session::BoxItem>& boxes) {
    return [&boxes](std::size_t k) {
      return static_cast<std::uint32_t>(boxes[static_cast<qsizetype>(k)].label);
    };
  };
  const auto number = [](std::size_t k) { return static_cast<std::uint32_t>(k + 1); };
  const contract::PixelRecord &truth = probe.truthPixels, &found = probe.predictionPixels;
  if (choice.predictions) {
    if (!found.labels.empty()) {
      overlay.fill(overlay.classes(found.labels), kClassAlpha);
    } else {
      overlay.fill(
          masksOf(overlay, found, probe.predictions, choice.threshold, label_of(probe.predictions)),
          kMaskAlpha);
    }
  }
  if (choice.truth) {
    if (!choice.predictions && !truth.labels.empty()) {
      overlay.fill(overlay.classes(truth.labels), kClassAlpha);
    } else if (!choice.predictions) {
      overlay.fill(masksOf(overlay, truth, probe.truth, 0, label_of(probe.truth)), kMaskAlpha);
    }
    overlay.outline(truth.labels.empty() ? masksOf(overlay, truth, probe.truth, 0, number)
                                         : overlay.classes(truth.labels));
  }
  return overlay.take();
}

}  // namespace batchscope::views
