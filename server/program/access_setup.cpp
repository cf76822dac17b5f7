#include "server/program/access_setup.hpp"

#include <ctime>
#include <filesystem>
#include <system_error>
#include <utility>

#include <spdlog/spdlog.h>

#include "server/json_text.hpp"

namespace locker::server {

boost::system::result<std::unique_ptr<AccessSetup>, core::Fault> AccessSetup::open(
    const Options& options) {
  std::unique_ptr<AccessSetup> setup{new AccessSetup{options}};
  if (setup->has_keys()) {
    if (auto fault = setup->load_keys()) return std::move(*fault);
    setup->report_keys();
  }
  if (!options.audit_log.empty()) {
    auto audit =
        AuditLog::open(options.audit_log, [](std::string_view text) { spdlog::error("{}", text); });
    if (!audit) return audit.error();
    setup->audit_ = std::move(*audit);
    setup->metrics_.audit_lines_lost = [&log = *setup->audit_] { return log.lost(); };
  }
  return setup;
}

std::unique_ptr<Gate> AccessSetup::make_gate(RequestHandler& inner, LockService& service) {
  return std::make_unique<Gate>(inner, service, metrics_, has_keys() ? &keys_ : nullptr,
                                audit_.get());
}

/// Warns if others than its owner can write the key file: they can give themselves every right.
void AccessSetup::warn_of_writers() const {
  using std::filesystem::perms;
  std::error_code error;
  const auto permissions = std::filesystem::status(options_.keys, error).permissions();
  if (error || (permissions & (perms::group_write | perms::others_write)) == perms::none) return;
  spdlog::warn(
      "users other than its owner can write {}, and so can give themselves keys; chmod go-w {}",
      options_.keys, options_.keys);
}

void AccessSetup::report_keys() {
  metrics_.keys = keys_.size();
  metrics_.keys_are_current = true;
  metrics_.keys_read_at = static_cast<std::uint64_t>(std::time(nullptr));
  warn_of_writers();
  if (keys_.size() == 0) {
    spdlog::warn("{} contains no key: nobody may do anything", options_.keys);
  } else {
    spdlog::info("{} keys in {}", keys_.size(), options_.keys);
  }
}

/// Refuses a file of zero bytes: it is half written or was emptied by mistake. A file with only a
/// comment in it lets nobody in.
std::optional<core::Fault> AccessSetup::load_keys() {
  std::error_code error;
  if (std::filesystem::file_size(options_.keys, error) == 0 && !error) {
    return core::Fault{"The key file " + options_.keys + " is empty."};
  }
  return keys_.load(options_.keys);
}

void AccessSetup::reload() {
  std::string outcome = "reloaded";
  std::string reason;
  if (has_keys()) {
    if (const auto fault = load_keys()) {
      spdlog::error(
          "{} The previous keys stay in use: those that were revoked in the file are still valid.",
          fault->message);
      ++metrics_.key_reloads_failed;
      metrics_.keys_are_current = false;
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
      append_json_text(reason, line);
    }
    audit_->add(line);
  }
  audit_->reopen();  // after the line, which is thus the last one of the old file
}

}  // namespace locker::server
