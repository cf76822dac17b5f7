#include "server/calls/browser_request.hpp"

#include <boost/beast/core/string.hpp>

#include "server/calls/error_answer.hpp"

namespace locker::server {
namespace {

/// Whether a URL or an origin names this host and port. The origin "null" never does.
bool is_at_host(std::string_view url, std::string_view host) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return false;
  url.remove_prefix(scheme + 3);
  return boost::beast::iequals(url.substr(0, url.find('/')), host);
}

}  // namespace

bool is_sent_for_another_site(const Request& request) {
  if (request.sec_purpose.find("prefetch") != std::string_view::npos ||
      request.sec_purpose.find("prerender") != std::string_view::npos) {
    return true;
  }
  if (!request.sec_fetch_site.empty()) {
    return request.sec_fetch_site == "cross-site" || request.sec_fetch_site == "same-site";
  }
  // Browsers omit Sec-Fetch-Site when the server is reached without HTTPS.
  if (!request.origin.empty()) return !is_at_host(request.origin, request.host);
  return !request.referer.empty() && !is_at_host(request.referer, request.host);
}

bool refuse_another_site(const Request& request, Response& response) {
  if (!is_sent_for_another_site(request)) return false;
  answer_error(403, "cross_site", another_site_sentence, response);
  return true;
}

}  // namespace locker::server
