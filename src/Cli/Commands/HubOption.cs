using System.CommandLine;
using LlamaCluster.Cli.Hub;

namespace LlamaCluster.Cli.Commands;

/// <summary>--hub, for commands that can get a model.</summary>
static class HubOption
{
    public static Option<string?> Create() => new(HubSettings.EndpointOption)
    {
        HelpName = "URL",
        Description = "the address of the hub, or of a mirror, that models hf://... come from; without it HF_ENDPOINT, and without either nothing is fetched",
    };

    /// <summary>What --model takes as a path: of a model of a hub where it is on this machine, after it was pulled if it was not.</summary>
    public static string PathOf(ParseResult parsed, string model)
    {
        if (!HubReference.Is(model)) return model;
        var settings = HubSettings.Read(In(parsed), tokenFile: null, Environment.GetEnvironmentVariable);
        return HubModels.PathOf(HubReference.Parse(model), settings, new PullView(parsed.InvocationConfiguration.Error, LoadingBar.Show));
    }

    /// <summary>The address that a command was given; null also where it has no such option.</summary>
    static string? In(ParseResult parsed) =>
        parsed.CommandResult.Command.Options.FirstOrDefault(option => option.Name == HubSettings.EndpointOption) is Option<string?> option
            ? parsed.GetValue(option)
            : null;
}
