// The history of the configuration: seen, compared, brought back, written to the file.
#include <fmt/format.h>

#include <charconv>

#include "base/file.hpp"
#include "controlplane/control_plane.hpp"

namespace balancer::controlplane {
namespace {

// YAML files are small; parse_config refuses what is larger than this anyway.
constexpr std::size_t kFileBytesMax = 4 << 20;

std::optional<std::uint64_t> parse_number(std::string_view text) {
    std::uint64_t number = 0;
    auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (code != std::errc() || end != text.data() + text.size() || text.empty())
        return std::nullopt;
    return number;
}

Error not_kept(std::uint64_t number, std::uint64_t head) {
    return invalid(fmt::format(
        "there is no revision {}: the newest is {}, and the last {} are kept; see `balancerctl "
        "config history`",
        number,
        head,
        Store::kRevisionsKept
    ));
}

}  // namespace

v1::Revision to_proto(const Revision& revision) {
    v1::Revision out;
    out.set_number(revision.number);
    out.set_parent(revision.parent);
    out.set_at_ms(revision.at);
    out.set_actor(revision.actor);
    out.set_source(static_cast<v1::RevisionSource>(revision.source));
    out.set_reason(revision.reason);
    out.set_summary(revision.summary);
    return out;
}

Result<v1::ListRevisionsResponse> ControlPlane::list_revisions(
    const v1::ListRevisionsRequest& request
) const {
    std::size_t count = request.count() == 0 ? Store::kRevisionsKept : request.count();
    Result<std::vector<Revision>> rows = store_.history(count);
    if (!rows) return rows.error();
    v1::ListRevisionsResponse response;
    response.set_head(revisions_.head().number);
    for (const Revision& row : *rows) *response.add_revisions() = to_proto(row);
    return response;
}

// One side of a diff; `name` is what it is called there.
Result<Revision> ControlPlane::find_revision(std::string_view side, std::string& name) const {
    const Revision& head = revisions_.head();
    if (side == "running") {
        name = fmt::format("revision {} (running)", head.number);
        return head;
    }
    if (side == "file") {
        name = options_.config_file.string();
        Result<std::string> text = read_file(options_.config_file, kFileBytesMax);
        if (!text) return text.error();
        Revision file;
        file.yaml = *std::move(text);
        // Not of the file, and no difference to it either.
        file.overrides = head.overrides;
        return file;
    }
    std::optional<std::uint64_t> number = parse_number(side);
    if (!number) {
        return invalid(
            fmt::format("'{}' is neither the number of a revision nor 'file' nor 'running'", side)
        );
    }
    name = fmt::format("revision {}", *number);
    Result<std::optional<Revision>> found = store_.revision(*number);
    if (!found) return found.error();
    if (!*found) return not_kept(*number, head.number);
    if (!(*found)->text_problem.empty()) return invalid((*found)->text_problem);
    return **std::move(found);
}

Result<v1::DiffConfigResponse> ControlPlane::diff_config(const v1::DiffConfigRequest& request
) const {
    v1::DiffConfigResponse response;
    Result<Revision> from =
        find_revision(request.from().empty() ? "file" : request.from(), *response.mutable_from());
    if (!from) return from.error();
    Result<Revision> to =
        find_revision(request.to().empty() ? "running" : request.to(), *response.mutable_to());
    if (!to) return to.error();
    Result<std::string> diff = revisions_.diff(*from, *to, response.from(), response.to());
    if (!diff) {
        return invalid(
            fmt::format("{} against {}: {}", response.from(), response.to(), diff.error().text())
        );
    }
    response.set_diff(*std::move(diff));
    for (const MovedCredential& moved : revisions_.moved(from->yaml, to->yaml)) {
        response.add_warnings(fmt::format(
            "{}: to {} by {}, to {} by {}", moved.what, moved.from, response.from(), moved.to, response.to()
        ));
    }
    return response;
}

Result<v1::ChangeResponse> ControlPlane::rollback_config(const v1::RollbackConfigRequest& request) {
    const v1::ChangeContext& context = request.context();
    Result<void> current = revisions_.check_revision(context.if_revision());
    if (!current) return current.error();
    const Revision& head = revisions_.head();
    if (request.revision() == head.number) {
        return no_change(fmt::format("revision {} is in force already", head.number));
    }
    Result<std::optional<Revision>> found = store_.revision(request.revision());
    if (!found) return found.error();
    if (!*found) return not_kept(request.revision(), head.number);
    const Revision& old = **found;
    if (!old.text_problem.empty()) return invalid(old.text_problem);
    if (old.yaml == head.yaml && old.overrides == head.overrides) {
        return no_change(fmt::format("revision {} says what is in force already", old.number));
    }
    Proposal proposal = revisions_.from_revision(
        old, Origin{RevisionSource::kRollback, context.actor(), context.reason()}
    );
    if (auto* problems = std::get_if<std::vector<ConfigProblem>>(&proposal)) {
        for (ConfigProblem& problem : *problems)
            problem.file = fmt::format("revision {}", old.number);
        return invalid(fmt::format(
            "revision {} is no good configuration any more; nothing has changed:\n{}",
            old.number,
            to_lines(*problems, 20)
        ));
    }
    return finish(
        std::get<Candidate>(std::move(proposal)),
        context,
        fmt::format("what revision {} says is in force again", old.number)
    );
}

Result<v1::ChangeResponse> ControlPlane::save_config(const v1::SaveConfigRequest& request) {
    const v1::ChangeContext& context = request.context();
    Result<void> current = revisions_.check_revision(context.if_revision());
    if (!current) return current.error();
    const Revision& head = revisions_.head();
    const std::string path = options_.config_file.string();
    Result<std::string> file = read_file(options_.config_file, kFileBytesMax);
    if (!file && !context.force()) return file.error();
    if (file && *file == head.yaml) {
        if (Result<void> noted = revisions_.file_saved(); !noted) return noted.error();
        return no_change(fmt::format("{} says what is in force already", path));
    }
    if (file && !revisions_.is_known_file(to_hex(sha256(*file))) && !context.force()) {
        return invalid(fmt::format(
            "{} was changed since and is not in force (`balancerctl config validate` says why, "
            "`balancerctl config diff` how it differs); --force overwrites it",
            path
        ));
    }
    v1::ChangeResponse response;
    Revision on_disk;
    on_disk.yaml = file ? *file : std::string();
    on_disk.overrides = head.overrides;
    // A file that is not even YAML is overwritten without being shown.
    Result<std::string> diff =
        revisions_.diff(on_disk, head, path, fmt::format("revision {}", head.number));
    if (diff) response.set_diff(*std::move(diff));
    if (!context.dry_run()) {
        Result<void> written = replace_file(options_.config_file, head.yaml);
        if (!written) return written.error();
        if (Result<void> noted = revisions_.file_saved(); !noted) return noted.error();
        reload_error_.clear();
    }
    response.set_dry_run(context.dry_run());
    response.set_changed(true);
    response.set_message(fmt::format("revision {} is written to {}", head.number, path));
    if (!head.overrides.empty()) {
        response.add_warnings(
            "what is enabled and disabled by hand is not in the file; it stays in force on top"
        );
    }
    *response.mutable_version() = publisher_.head();
    response.set_revision(head.number);
    return response;
}

Result<v1::ShowConfigResponse> ControlPlane::show_revision(std::uint64_t number) const {
    std::string name;
    Result<Revision> found = find_revision(std::to_string(number), name);
    if (!found) return found.error();
    Result<std::string> text = revisions_.shown(*found);
    if (!text) return text.error();
    v1::ShowConfigResponse response;
    *response.mutable_head() = publisher_.head();
    response.set_file(options_.config_file.string());
    *response.mutable_revision() = to_proto(*found);
    response.set_yaml(*std::move(text));
    return response;
}

}  // namespace balancer::controlplane
