#pragma once

#include "ui/session/view_data.h"

#include <QImage>

namespace batchscope::views {

struct OverlayChoice {
  double threshold = 0.5;   // masks of predictions below it are left out
  bool truth = true;        // outlines
  bool predictions = true;  // fills
};

/// Masks and classes of pixels of a picture, transparent elsewhere; of the picture's size. What is
/// predicted is filled with the colour of its class, what is true is outlined in white (filled,
/// where predictions are not asked for). Runs beyond the picture's border are cut.
QImage pixelOverlay(const session::ProbeItem& probe, const OverlayChoice& choice);

}  // namespace batchscope::views
