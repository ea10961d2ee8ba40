#include "engine/train/draw_objects.h"

#include "engine/contract/error.h"

#include <algorithm>
#include <array>
#include <cairo.h>
#include <cmath>
#include <cstdio>
#include <memory>

namespace batchscope::train {
namespace {

using Colour = std::array<double, 3>;  // red, green, blue, 0…1

constexpr double kMaskOpacity = 0.45, kMapOpacity = 0.55;

/// Hues a golden ratio apart: neighbours in number are far apart in colour.
Colour colour_of(std::int64_t category) {
  const double hue = std::fmod(static_cast<double>(category) * 0.618033988749895, 1.0) * 6;
  Colour colour{};
  for (std::size_t c = 0; c < 3; ++c) {
    const double shifted = std::fmod(hue + (c == 0 ? 0.0 : c == 1 ? 4.0 : 2.0), 6.0);
    const double ramp = std::clamp(std::abs(shifted - 3) - 1, 0.0, 1.0);
    colour[c] = 0.15 + 0.85 * ramp;
  }
  return colour;
}

/// Pixels of a Cairo surface: 0xFFRRGGBB.
class Canvas {
 public:
  /// file: names the picture in the sentence of a contract::DataError.
  Canvas(const torch::Tensor& image, const std::string& file)
      : surface_(cairo_image_surface_create(CAIRO_FORMAT_RGB24,
                                            static_cast<int>(image.size(2)),
                                            static_cast<int>(image.size(1))),
                 &cairo_surface_destroy) {
    const cairo_status_t status = cairo_surface_status(surface());
    if (status != CAIRO_STATUS_SUCCESS) {
      throw contract::DataError("The picture '" + file + "' of " + std::to_string(image.size(2)) +
                                "x" + std::to_string(image.size(1)) +
                                " pixels cannot be drawn: " + cairo_status_to_string(status) +
                                "; expected sides of at most 32767 pixels.");
    }
    const torch::Tensor rows = image.permute({1, 2, 0}).contiguous();
    const auto* from = rows.const_data_ptr<std::uint8_t>();
    for (std::int64_t y = 0; y < image.size(1); ++y) {
      std::uint32_t* to = row(y);
      for (std::int64_t x = 0; x < image.size(2); ++x, from += 3) {
        to[x] = (std::uint32_t{from[0]} << 16) | (std::uint32_t{from[1]} << 8) | from[2];
      }
    }
    changed();
  }
  cairo_surface_t* surface() const { return surface_.get(); }
  void blend(std::int64_t y, std::int64_t x, const Colour& colour, double opacity) {
    std::uint32_t& pixel = row(y)[x];
    std::uint32_t out = 0;
    for (std::size_t c = 0; c < 3; ++c) {
      const auto shift = static_cast<unsigned>(16 - 8 * c);
      const double old = (pixel >> shift) & 0xFF;
      const double now = old + (255 * colour[c] - old) * opacity;
      out |= static_cast<std::uint32_t>(std::lround(now)) << shift;
    }
    pixel = out;
  }
  void changed() { cairo_surface_mark_dirty(surface()); }

 private:
  std::uint32_t* row(std::int64_t y) {
    auto* data = cairo_image_surface_get_data(surface());
    return reinterpret_cast<std::uint32_t*>(data + y * cairo_image_surface_get_stride(surface()));
  }
  std::unique_ptr<cairo_surface_t, decltype(&cairo_surface_destroy)> surface_;
};

void paint_mask(Canvas& canvas, const Rle& mask, const Colour& colour) {
  std::uint64_t at = 0;
  bool inside = false;
  for (const std::uint32_t run : mask.counts) {
    for (std::uint64_t i = at; inside && i < at + run; ++i) {
      canvas.blend(static_cast<std::int64_t>(i % mask.height),
                   static_cast<std::int64_t>(i / mask.height),
                   colour,
                   kMaskOpacity);
    }
    at += run;
    inside = !inside;
  }
}

void paint_map(Canvas& canvas,
               const LabelMap& map,
               const std::function<Colour(std::uint32_t)>& colour) {
  for (std::uint32_t y = 0; y < map.height; ++y) {
    for (std::uint32_t x = 0; x < map.width; ++x) {
      const std::uint32_t label = map.labels[std::size_t{y} * map.width + x];
      if (label != 0) {
        canvas.blend(y, x, colour(label), kMapOpacity);
      }
    }
  }
}

void paint_maps(Canvas& canvas, const FoundObjects& found) {
  if (found.segments) {
    const auto& segments = found.segments->segments;
    paint_map(canvas, found.segments->map, [&](std::uint32_t id) {
      const auto at = std::find_if(
          segments.begin(), segments.end(), [id](const auto& s) { return s.id == id; });
      Colour colour = colour_of(at == segments.end() ? 0 : at->category);
      for (double& part : colour) {
        part *= 1 - 0.12 * (id % 4);  // neighbours of one category can be told apart
      }
      return colour;
    });
  } else if (found.semantic) {
    paint_map(canvas, *found.semantic, [](std::uint32_t label) { return colour_of(label); });
  }
}

void paint_box(cairo_t* pen, const EvalDetection& d, const std::string& text, double font) {
  const Colour colour = colour_of(d.category);
  cairo_set_source_rgb(pen, colour[0], colour[1], colour[2]);
  cairo_rectangle(pen, d.x, d.y, d.w, d.h);
  cairo_stroke(pen);
  cairo_text_extents_t extents;
  cairo_text_extents(pen, text.c_str(), &extents);
  const double height = font * 1.25, width = extents.x_advance + font * 0.5;
  const double top = d.y >= height ? d.y - height : d.y;
  cairo_rectangle(pen, d.x, top, width, height);
  cairo_fill(pen);
  const double light = 0.3 * colour[0] + 0.6 * colour[1] + 0.1 * colour[2];
  const double ink = light > 0.5 ? 0 : 1;
  cairo_set_source_rgb(pen, ink, ink, ink);
  cairo_move_to(pen, d.x + font * 0.25, top + font * 0.95);
  cairo_show_text(pen, text.c_str());
}

}  // namespace

void draw_objects(const torch::Tensor& image,
                  const FoundObjects& found,
                  const DrawOptions& options,
                  const std::string& file) {
  Canvas canvas(image, file);
  paint_maps(canvas, found);
  const auto shown = [&](std::size_t k) {
    return found.objects[k].score >= options.score_threshold;
  };
  for (std::size_t k = 0; k < found.masks.size() && !found.segments; ++k) {
    if (shown(k)) {
      paint_mask(canvas, found.masks[k], colour_of(found.objects[k].category));
    }
  }
  canvas.changed();
  const std::unique_ptr<cairo_t, decltype(&cairo_destroy)> pen(cairo_create(canvas.surface()),
                                                               &cairo_destroy);
  const double font =
      std::clamp(static_cast<double>(std::min(image.size(1), image.size(2))) / 40, 10.0, 28.0);
  cairo_select_font_face(
      pen.get(), "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
  cairo_set_font_size(pen.get(), font);
  cairo_set_line_width(pen.get(), std::max(1.0, font / 8));
  // The best ones last, on top.
  for (std::size_t k = found.objects.size(); k-- > 0;) {
    if (shown(k)) {
      const EvalDetection& d = found.objects[k];
      std::array<char, 16> score{};
      std::snprintf(score.data(), score.size(), " %.2f", d.score);
      paint_box(pen.get(), d, options.name_of(d.category) + score.data(), font);
    }
  }
  if (cairo_surface_write_to_png(canvas.surface(), file.c_str()) != CAIRO_STATUS_SUCCESS) {
    throw contract::StorageError("The picture '" + file + "' could not be written.");
  }
}

}  // namespace batchscope::train
