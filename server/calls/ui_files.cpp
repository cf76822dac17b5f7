#include "server/calls/ui_files.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "server/calls/accept_header.hpp"
#include "server/calls/error_answer.hpp"

namespace locker::server {
namespace {

/// Allows no content from elsewhere and nothing inline, and keeps text from becoming markup or
/// code.
constexpr std::string_view security_fields =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'\r\n"
    "Cross-Origin-Opener-Policy: same-origin\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "X-Frame-Options: DENY\r\n";

/// The location is relative, so it stays valid behind a proxy that serves Locker under a path
/// prefix.
constexpr std::string_view to_page =
    "Location: ui/\r\n"
    "Vary: Accept\r\n"
    "Cache-Control: no-store\r\n";

std::string_view content_type_of(std::string_view name) {
  if (name.ends_with(".html")) return "text/html; charset=utf-8";
  if (name.ends_with(".css")) return "text/css; charset=utf-8";
  if (name.ends_with(".js")) return "text/javascript; charset=utf-8";
  if (name.ends_with(".svg")) return "image/svg+xml";
  return "text/plain; charset=utf-8";
}

/// A file and its header fields, which are built once: responses only refer to them.
struct ServedFile {
  const UiFile* file;
  std::string fields;
};

const ServedFile* find(std::string_view name) {
  static const std::vector<ServedFile> all = [] {
    std::vector<ServedFile> made;
    for (const UiFile& file : ui_files()) {
      // no-cache: browsers ask again each time and mostly get 304, so the page of a new version is
      // never mixed with files of an old one.
      std::string fields = "Cache-Control: no-cache\r\nETag: ";
      fields += file.etag;
      fields += "\r\n";
      fields += security_fields;
      made.push_back({&file, std::move(fields)});
    }
    return made;
  }();
  const auto at = std::find_if(all.begin(), all.end(),
                               [&](const ServedFile& each) { return each.file->name == name; });
  return at == all.end() ? nullptr : &*at;
}

void send_to_page(Response& response) {
  response.status = 302;
  response.content_type = "text/plain; charset=utf-8";
  response.other_fields = to_page;
  response.body = "The page is at ui/\n";
}

}  // namespace

void answer_ui(const Request& request, Response& response) {
  if (!request.reads()) {
    return answer_wrong_method("GET, HEAD", "Use GET for this page.", response);
  }
  const std::string_view rest = request.target.rest;
  if (rest.empty()) return send_to_page(response);
  const ServedFile* const served = find(rest == "/" ? "index.html" : rest.substr(1));
  if (served == nullptr) {
    return answer_error(404, "not_found", "The page has no such file; it begins at /ui/.",
                        response);
  }
  response.content_type = content_type_of(served->file->name);
  response.other_fields = served->fields;
  const bool is_known = request.if_none_match == "*" ||
                        request.if_none_match.find(served->file->etag) != std::string_view::npos;
  if (is_known) {
    response.status = 304;
  } else {
    response.body = served->file->text;
  }
}

bool answer_browser_at_root(const Request& request, Response& response) {
  // Programs accept anything; a browser prefers a page to JSON.
  const bool wants_page =
      quality_of("text/html", request.accept) > quality_of("application/json", request.accept);
  if (!request.reads() || !wants_page) return false;
  send_to_page(response);
  return true;
}

}  // namespace locker::server
