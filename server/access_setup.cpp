#include "server/access_setup.hpp"

#include <utility>

#include <spdlog/spdlog.h>

#include "server/json_text.hpp"

namespace locker::server {

boost::system::result<std::unique_ptr<AccessSetup>, core::Fault> AccessSetup::open(
    const Options& options) {
  std::unique_ptr<AccessSetup> setup{new AccessSetup{options}};
  if (setup->has_keys()) {
    if (auto fault = setup->keys_.load(options.keys)) return std::move(*fault);
    setup->report_keys();
  }
  if (!options.audit_log.empty()) {
    auto audit =
        AuditLog::open(options.audit_log, [](std::string_view text) { spdlog::error("{}", text); });
    if (!audit) return audit.error();
    setup->audit_ = std::move(*audit);
  }
  return setup;
}

std::unique_ptr<Gate> AccessSetup::make_gate(RequestHandler& inner, LockService& service) {
  return std::make_unique<Gate>(inner, service, has_keys() ? &keys_ : nullptr, audit_.get());
}

void AccessSetup::report_keys() const {
  if (keys_.size() == 0) {
    spdlog::warn("there is no key in {}: nobody may do anything", options_.keys);
  } else {
    spdlog::info("{} keys in {}", keys_.size(), options_.keys);
  }
}

void AccessSetup::reload() {
  std::string outcome = "reloaded";
  std::string reason;
  if (has_keys()) {
    if (const auto fault = keys_.load(options_.keys)) {
      spdlog::error("{} The keys stay as they were: those that were revoked in it are still good.",
                    fault->message);
      outcome = "kept";
      reason = fault->message;
    } else {
      report_keys();
    }
  }
  if (!audit_) return;
  if (has_keys()) {
    std::string line = R"("action": "reload", "outcome": ")" + outcome + R"(", "keys": )" +
                       std::to_string(keys_.size());
    if (!reason.empty()) {
      line += R"(, "reason": )";
      append_json_string(reason, line);
    }
    audit_->add(line);
  }
  audit_->reopen();  // behind the line, so that it is the last one of the old file
}

}  // namespace locker::server
