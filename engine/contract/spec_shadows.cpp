#include "engine/contract/error.h"
#include "engine/contract/run_spec.h"
#include "engine/contract/spec_keys.h"

#include <algorithm>
#include <cctype>
#include <set>

namespace batchscope::contract {
namespace {

const std::string kSection = "optim.";
const std::string kShadow = "optim.shadow.";
constexpr const char* kName = "name";
constexpr std::size_t kLongestLabel = 40;

std::string plain(const std::string& canonical) {
  // Methods are bare words: no escapes within the quotes.
  return canonical.size() < 2 ? canonical : canonical.substr(1, canonical.size() - 2);
}

/// A label is part of a series' name, whose parts are joined by "/".
bool names_a_series(const std::string& label) {
  return !label.empty() && label.size() <= kLongestLabel &&
         std::all_of(label.begin(), label.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.' || c == '+';
         });
}

}  // namespace

void detail::check_shadow_key(const std::string& key) {
  if (key.starts_with("agvm.")) {
    throw SpecError(kShadow + key,
                    kShadow + key + " cannot be set: a shadow has the run's AGVM factors");
  }
  if (key == "shadow" || key == "lr_on_batch_change") {
    throw SpecError(kShadow + key, kShadow + key + " cannot be set in a shadow");
  }
}

void detail::settle_label(ShadowSpec& shadow) {
  const auto name = shadow.set.find(kName);
  if (shadow.label.empty() && name != shadow.set.end()) {
    shadow.label = plain(name->second);
  }
}

void detail::check_shadows(const RunSpec& spec) {
  std::set<std::string> labels;
  for (const ShadowSpec& shadow : spec.optim.shadow) {
    if (!shadow.set.contains(kName)) {
      throw SpecError(kShadow + kName,
                      "optim.shadow.name must be the optimizer of the shadow, in every shadow");
    }
    if (!names_a_series(shadow.label)) {
      throw SpecError(
          kShadow + "label",
          "optim.shadow.label must be 1 to 40 of the characters a to z, A to Z, 0 to 9, "
          "_ - . +, found " +
              quoted(shadow.label));
    }
    if (!labels.insert(shadow.label).second) {
      throw SpecError(kShadow + "label",
                      "optim.shadow.label must differ from shadow to shadow, found " +
                          quoted(shadow.label) + " twice");
    }
    try {
      check_contradictions(shadow_spec(spec, shadow));
    } catch (const SpecError& e) {
      throw SpecError(kShadow + "label", "shadow " + quoted(shadow.label) + ": " + e.what());
    }
  }
}

ShadowSpec make_shadow(const std::string& name,
                       const std::string& label,
                       const std::map<std::string, std::string>& set) {
  RunSpec scratch;
  ShadowSpec shadow;
  shadow.label = label;
  const auto take = [&](const std::string& key, const std::string& text) {
    if (!key.starts_with(kSection)) {
      throw SpecError(key, "a shadow cannot set \"" + key + "\"; expected a key under optim.");
    }
    const std::string own = key.substr(kSection.size());
    detail::check_shadow_key(own);
    set_value(scratch, key, text);
    if (std::string value = get_value(scratch, key); !value.empty()) {
      shadow.set[own] = std::move(value);
    }
  };
  for (const auto& [key, text] : set) {
    take(key, text);
  }
  take(kSection + kName, name);
  detail::settle_label(shadow);
  return shadow;
}

RunSpec shadow_spec(const RunSpec& spec, const ShadowSpec& shadow) {
  RunSpec own = spec;
  own.optim.shadow.clear();
  own.events.clear();
  for (const auto& [key, value] : shadow.set) {
    set_value(own, kSection + key, value);
  }
  return own;
}

void keep_shadows(const RunSpec& old, RunSpec& next) {
  for (const detail::Key& key : detail::keys()) {
    if (!key.name.starts_with(kSection)) {
      continue;
    }
    const std::string own = key.name.substr(kSection.size());
    const bool shared = !own.starts_with("agvm.") && own != "shadow" && own != "lr_on_batch_change";
    const std::string before = shared ? detail::to_toml_value(key.get(old)) : "";
    if (before.empty() || before == detail::to_toml_value(key.get(next))) {
      continue;
    }
    for (ShadowSpec& shadow : next.optim.shadow) {
      shadow.set.try_emplace(own, before);
    }
  }
}

}  // namespace batchscope::contract
