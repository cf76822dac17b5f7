#include "server/program/tls_setup.hpp"

#include <chrono>
#include <ctime>
#include <filesystem>
#include <string>
#include <system_error>

#include <spdlog/spdlog.h>

namespace locker::server {
namespace {

constexpr std::chrono::hours warned_before{14 * 24};

std::string day_of(std::chrono::system_clock::time_point when) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(when);
  std::tm broken_down{};
  char text[sizeof "2026-11-25 12:00 UTC"] = "";
  if (::gmtime_r(&seconds, &broken_down) != nullptr) {
    static_cast<void>(std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &broken_down));
  }
  return text;
}

}  // namespace

boost::system::result<TlsSetup, core::Fault> TlsSetup::open(const TlsContext::Files& files) {
  TlsSetup setup;
  if (files.certificate.empty()) return setup;
  setup.context_ = std::make_shared<TlsContext>(files);
  if (auto fault = setup.context_->load()) return std::move(*fault);
  setup.report();
  return setup;
}

void TlsSetup::reload() {
  if (!context_) return;
  if (const auto fault = context_->load()) {
    spdlog::error("{} The previous certificate stays in use, valid until {}.", fault->message,
                  day_of(context_->expires_at()));
    return;
  }
  report();
}

void TlsSetup::report() const {
  using std::filesystem::perms;
  std::error_code error;
  const std::string& key = context_->files().key;
  const auto permissions = std::filesystem::status(key, error).permissions();
  if (!error && (permissions & (perms::others_read | perms::others_write)) != perms::none) {
    spdlog::warn("everybody on this machine can read or write the TLS key {}; chmod o-rw {}", key,
                 key);
  }
  const auto expires_at = context_->expires_at();
  const auto left = expires_at - std::chrono::system_clock::now();
  if (left < std::chrono::seconds{0}) {
    spdlog::warn("the TLS certificate expired at {}: clients refuse it; renew it, then send SIGHUP",
                 day_of(expires_at));
  } else if (left < warned_before) {
    spdlog::warn("the TLS certificate is valid only until {}; renew it, then send SIGHUP",
                 day_of(expires_at));
  } else {
    spdlog::info("the TLS certificate is valid until {}", day_of(expires_at));
  }
}

}  // namespace locker::server
