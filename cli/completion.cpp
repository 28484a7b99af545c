#include "cli/completion.hpp"

#include <algorithm>
#include <array>
#include <ranges>

namespace balancer::cli {
namespace {

struct NameKind {
    std::string_view group;     // of commands: the first word
    std::string_view argument;  // as --help shows it
    Lookup lookup;
};

// Arguments that name something that exists.
constexpr std::array kNames = {
    NameKind{"providers", "NAME", Lookup::kProvider},
    NameKind{"routes", "PATTERN", Lookup::kPattern},
    NameKind{"routes", "PROVIDER", Lookup::kProvider},
    NameKind{"dataplanes", "NAME", Lookup::kDataPlane},
    NameKind{"oauth", "ACCOUNT", Lookup::kAccount},
    NameKind{"keys", "ID", Lookup::kSealingKey},
    NameKind{"config", "FILE", Lookup::kFile},
};

// The command that the words lead to, and what is to be read next.
struct Place {
    const CLI::App* command = nullptr;
    const CLI::Option* value_of = nullptr;  // the next word is this option's
    std::size_t arguments = 0;              // positional ones that stand there
    std::vector<const CLI::Option*> given;
};

bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

bool may_repeat(const CLI::Option& option) { return option.get_items_expected_max() > 1; }

// Those of `app`, of its option groups and, as global options may stand anywhere, of the commands above.
std::vector<const CLI::Option*> options_at(const CLI::App& app) {
    std::vector<const CLI::Option*> all;
    for (const CLI::App* level = &app; level != nullptr; level = level->get_parent()) {
        for (const CLI::Option* option : level->get_options()) all.push_back(option);
        for (const CLI::App* group : level->get_subcommands([](const CLI::App* sub) { return sub->get_name().empty(); })) {
            for (const CLI::Option* option : group->get_options()) all.push_back(option);
        }
    }
    return all;
}

const CLI::Option* option_named(const CLI::App& app, const std::string& name) {
    for (const CLI::Option* option : options_at(app)) {
        if (option->nonpositional() && option->check_name(name)) return option;
    }
    return nullptr;
}

const CLI::App* command_named(const CLI::App& app, const std::string& name) {
    for (const CLI::App* command : app.get_subcommands([](const CLI::App* sub) { return !sub->get_name().empty(); })) {
        if (command->check_name(name)) return command;
    }
    return nullptr;
}

void step(Place& place, const std::string& word) {
    if (place.value_of != nullptr) {
        place.value_of = nullptr;
        return;
    }
    if (word.starts_with('-')) {
        std::size_t equals = word.find('=');
        const CLI::Option* option = option_named(*place.command, word.substr(0, equals));
        if (option == nullptr) return;
        place.given.push_back(option);
        if (equals == std::string::npos && takes_value(*option)) place.value_of = option;
        return;
    }
    if (const CLI::App* command = command_named(*place.command, word); command != nullptr) {
        place.command = command;
        place.arguments = 0;
    } else {
        ++place.arguments;
    }
}

const CLI::Option* argument_at(const CLI::App& command, std::size_t index) {
    for (const CLI::Option* option : command.get_options()) {
        if (option->get_positional() && index-- == 0) return option;
    }
    return nullptr;
}

std::string group_of(const CLI::App& command) {
    const CLI::App* level = &command;
    while (level->get_parent() != nullptr && level->get_parent()->get_parent() != nullptr) level = level->get_parent();
    return level->get_name();
}

void add(Completion& found, std::string word, std::string description) {
    if (word.starts_with(found.typed)) found.candidates.push_back({std::move(word), std::move(description)});
}

void add_values(Completion& found, const CLI::App& command, const CLI::Option& option) {
    const std::string type = option.get_type_name();
    if (type.find('|') != std::string::npos) {
        for (auto value : std::views::split(type, '|')) add(found, std::string(value.begin(), value.end()), "");
    }
    if (type == "FILE" || type == "DIR") found.lookup = Lookup::kFile;
    if (!option.get_positional()) return;
    for (const NameKind& kind : kNames) {
        if (kind.group == group_of(command) && kind.argument == option.get_name(true)) found.lookup = kind.lookup;
    }
}

void add_options(Completion& found, const Place& place) {
    for (const CLI::Option* option : options_at(*place.command)) {
        if (option->get_group().empty() || option->get_lnames().empty()) continue;
        const bool there = std::ranges::find(place.given, option) != place.given.end();
        // Every level has its --help.
        const std::string word = "--" + option->get_lnames().front();
        const bool repeated = std::ranges::any_of(found.candidates, [&](const Candidate& one) { return one.word == word; });
        if ((!there || may_repeat(*option)) && !repeated) add(found, word, option->get_description());
    }
}

constexpr std::string_view kBash = R"sh(# balancerctl completion bash > /usr/share/bash-completion/completions/balancerctl
_balancerctl() {
    # Bash parts words at = and :, which balancerctl does not.
    local word words=() joins=
    for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
        if [[ ($word == = || $word == :) && ${#words[@]} -gt 0 ]]; then
            words[-1]+=$word joins=1
        elif [[ $joins ]]; then
            words[-1]+=$word joins=
        else
            words+=("$word")
        fi
    done
    local typed=${COMP_WORDS[COMP_CWORD]} line
    [[ $typed == = || $typed == : ]] && typed=
    local before=${words[-1]%"$typed"}
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ $line == :files ]]; then
            compopt -o default
            return
        fi
        line=${line%%$'\t'*}
        COMPREPLY+=("$(printf %q "${line#"$before"}")")
    done < <("${COMP_WORDS[0]}" complete "${words[@]}" 2>/dev/null)
}
complete -F _balancerctl balancerctl
)sh";

constexpr std::string_view kZsh = R"sh(#compdef balancerctl
# balancerctl completion zsh > /usr/share/zsh/vendor-completions/_balancerctl
_balancerctl() {
    local line
    local -a found
    for line in "${(@f)$("$words[1]" complete "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        if [[ $line == :files ]]; then
            _files
            return
        fi
        [[ -n $line ]] && found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    done
    _describe balancerctl found
}
if [[ $funcstack[1] == _balancerctl ]]; then
    _balancerctl "$@"
else
    compdef _balancerctl balancerctl
fi
)sh";

constexpr std::string_view kFish = R"sh(# balancerctl completion fish > /usr/share/fish/vendor_completions.d/balancerctl.fish
function __balancerctl_complete
    set -l words (commandline -opc)
    set -l found ($words[1] complete $words[2..-1] (commandline -ct) 2>/dev/null)
    if test "$found[1]" = :files
        __fish_complete_path (commandline -ct)
    else
        printf '%s\n' $found
    end
end
complete -c balancerctl -f -a '(__balancerctl_complete)'
)sh";

}  // namespace

Completion complete(const CLI::App& app, const std::vector<std::string>& words) {
    Place place;
    place.command = &app;
    for (std::size_t i = 0; i + 1 < words.size(); ++i) step(place, words[i]);
    Completion found;
    found.typed = words.empty() ? "" : words.back();
    if (place.value_of != nullptr) {
        add_values(found, *place.command, *place.value_of);
        return found;
    }
    if (found.typed.starts_with('-')) {
        std::size_t equals = found.typed.find('=');
        if (equals == std::string::npos) {
            add_options(found, place);
            return found;
        }
        const CLI::Option* option = option_named(*place.command, found.typed.substr(0, equals));
        found.before = found.typed.substr(0, equals + 1);
        found.typed.erase(0, equals + 1);
        if (option != nullptr) add_values(found, *place.command, *option);
        return found;
    }
    for (const CLI::App* command : place.command->get_subcommands([](const CLI::App* sub) {
             return !sub->get_name().empty() && !sub->get_group().empty();
         })) {
        add(found, command->get_name(), command->get_description());
    }
    if (const CLI::Option* argument = argument_at(*place.command, place.arguments); argument != nullptr) {
        add_values(found, *place.command, *argument);
    }
    return found;
}

std::string_view completion_script(std::string_view shell) {
    if (shell == "bash") return kBash;
    return shell == "zsh" ? kZsh : kFish;
}

}  // namespace balancer::cli
