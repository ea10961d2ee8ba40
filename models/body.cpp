#include "models/body.h"

#include <stdexcept>
#include <string>

namespace batchscope::models {

void check_trained_layers(std::int64_t count) {
  if (count < 0 || count > 5) {
    throw std::invalid_argument("model.trainable_layers: expected 0 to 5, found " +
                                std::to_string(count));
  }
}

}  // namespace batchscope::models
