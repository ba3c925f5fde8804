using System.CommandLine;
using LlamaCluster.Coordinator;

namespace LlamaCluster.Cli.Commands;

/// <summary>Numbers on the command line.</summary>
static class NumberOption
{
    /// <exception cref="InvalidOptionsException">The value is out of range.</exception>
    public static int Check(string option, int value, int least, int most)
        => value >= least && value <= most ? value : throw new InvalidOptionsException($"{option} is {value}; it must be from {least} to {most}");
}

/// <summary>An option with a few words to choose from.</summary>
static class EnumOption
{
    /// <param name="values">The words and their meanings, the default first.</param>
    public static Option<T> Create<T>(string name, string description, params (string Word, T Value)[] values) where T : struct
    {
        var words = string.Join("|", values.Select(value => value.Word));
        return new Option<T>(name)
        {
            HelpName = words,
            Description = description,
            DefaultValueFactory = _ => values[0].Value,
            CustomParser = result =>
            {
                var written = result.Tokens[0].Value;
                foreach (var (word, value) in values)
                    if (word.Equals(written, StringComparison.OrdinalIgnoreCase)) return value;
                result.AddError($"{name} is '{written}'; it must be {words.Replace("|", ", ")}.");
                return default;
            },
        };
    }
}

/// <summary>An option whose value is the http or https address of a running process. Addresses to listen on stay text until the host parses them.</summary>
static class UrlOption
{
    public static Option<Uri> Create(string name, string description, string? otherwise = null)
    {
        var option = new Option<Uri>(name)
        {
            HelpName = "URL",
            Description = description,
            Required = otherwise is null,
            CustomParser = result =>
            {
                var written = result.Tokens[0].Value;
                if (Uri.TryCreate(written, UriKind.Absolute, out var url) && url.Scheme is "http" or "https") return url;
                result.AddError($"{name} is '{written}'; it must be like http://127.0.0.1:8080.");
                return null!;
            },
        };
        if (otherwise is not null) option.DefaultValueFactory = _ => new Uri(otherwise);
        return option;
    }
}
