#include "base/manual_page.hpp"

#include <fmt/format.h>

#include <string_view>
#include <vector>

namespace balancer {
namespace {

constexpr const char* kManualFlag = "--manual";

// A line of text as roff takes it: nothing in it is a request, a dash is the one to be typed.
std::string escaped(std::string_view text) {
    std::string out;
    for (char c : text) {
        if (c == '\\') out += "\\e";
        else if (c == '-') out += "\\-";
        else out += c;
    }
    if (out.starts_with('.') || out.starts_with('\'')) out.insert(0, "\\&");
    return out;
}

// As it stands, line by line.
void add_verbatim(std::string& page, std::string_view text) {
    page += ".nf\n";
    while (!text.empty()) {
        std::size_t end = std::min(text.find('\n'), text.size());
        page += escaped(text.substr(0, end)) + "\n";
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    page += ".fi\n";
}

bool shown(const CLI::Option& option) { return !option.get_group().empty(); }

std::vector<const CLI::App*> commands_of(const CLI::App& app, bool option_groups) {
    return app.get_subcommands([option_groups](const CLI::App* command) {
        return command->get_name().empty() == option_groups && !command->get_group().empty();
    });
}

// What is typed behind a command: its arguments, those that may be left out in brackets.
std::string arguments_of(const CLI::App& app) {
    std::string words;
    for (const CLI::Option* option : app.get_options()) {
        if (!option->get_positional()) continue;
        const std::string name = option->get_name(true);
        words += option->get_required() ? " " + name : " [" + name + "]";
    }
    return words;
}

std::string value_of(const CLI::Option& option) {
    if (!option.get_option_text().empty()) return option.get_option_text();
    if (option.get_items_expected_max() == 0) return {};
    return option.get_type_name().empty() ? "" : " " + option.get_type_name();
}

void add_options(std::string& page, const CLI::App& app) {
    for (const CLI::Option* option : app.get_options()) {
        if (!shown(*option)) continue;
        // Every command has --help; the page says it once.
        if (option == app.get_help_ptr() && app.get_parent() != nullptr) continue;
        if (option->get_positional() && option->get_description().empty()) continue;
        const std::string name = option->get_name(true, true) + value_of(*option);
        page += fmt::format(".TP\n.B {}\n{}", escaped(name), escaped(option->get_description()));
        if (!option->get_default_str().empty()) page += escaped(fmt::format(" (default: {})", option->get_default_str()));
        if (!option->get_envname().empty()) page += escaped(fmt::format(" (environment: {})", option->get_envname()));
        page += '\n';
    }
    for (const CLI::App* group : commands_of(app, true)) {
        page += fmt::format(".PP\n{}:\n", escaped(group->get_group()));
        add_options(page, *group);
    }
}

std::string sentence(std::string text) {
    bool ended = text.ends_with('.') || text.ends_with('?');
    return ended ? text : text + ".";
}

void add_command(std::string& page, const CLI::App& command, const std::string& path) {
    const std::vector<const CLI::App*> below = commands_of(command, false);
    if (below.empty()) {
        page += fmt::format(
            ".SS {}\n{}\n", escaped(path + arguments_of(command)), escaped(sentence(command.get_description()))
        );
        add_options(page, command);
    }
    for (const CLI::App* next : below) add_command(page, *next, path + " " + next->get_name());
    // Commands inherit it when they are made.
    if (!command.get_footer().empty() && command.get_footer() != command.get_parent()->get_footer()) {
        page += ".PP\n";
        add_verbatim(page, command.get_footer());
    }
}

// "A data plane. It …" as whatis(1) shows it: the first sentence, on one line.
std::string summary(std::string text) {
    for (char& c : text) {
        if (c == '\n') c = ' ';
    }
    std::size_t end = text.find_first_of(".:");
    return text.substr(0, end);
}

}  // namespace

std::string manual_page(const CLI::App& app, const std::string& section) {
    std::string upper = app.get_name();
    for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    std::string page = fmt::format(
        ".TH {} {} \"\" \"{} {}\" \"Claude Code Provider Balancer\"\n", upper, section, app.get_name(), BALANCER_VERSION
    );
    const std::vector<const CLI::App*> commands = commands_of(app, false);
    page += fmt::format(".SH NAME\n{} \\- {}\n", escaped(app.get_name()), escaped(summary(app.get_description())));
    page += fmt::format(
        ".SH SYNOPSIS\n.B {}\n[OPTIONS]{}{}\n",
        escaped(app.get_name()),
        commands.empty() ? "" : " COMMAND",
        escaped(arguments_of(app))
    );
    page += fmt::format(".SH DESCRIPTION\n{}\n", escaped(app.get_description()));
    page += ".SH OPTIONS\n";
    add_options(page, app);
    if (!commands.empty()) {
        page += ".SH COMMANDS\n";
        for (const CLI::App* command : commands) add_command(page, *command, command->get_name());
    }
    if (!app.get_footer().empty()) {
        page += ".SH NOTES\n";
        add_verbatim(page, app.get_footer());
    }
    return page;
}

void add_manual_flag(CLI::App& app, std::string section) {
    app.add_flag_callback(
        kManualFlag,
        [&app, section = std::move(section)] { throw CLI::CallForVersion(manual_page(app, section), 0); },
        "Print the manual page, for man(1), and end"
    );
}

}  // namespace balancer
