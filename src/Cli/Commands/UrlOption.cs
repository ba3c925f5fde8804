using System.CommandLine;

namespace LlamaCluster.Cli.Commands;

/// <summary>An option whose value is an http or https address.</summary>
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
