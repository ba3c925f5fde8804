using System.CommandLine;
using LlamaCluster.Cli.Hub;
using LlamaCluster.Cluster.Hub;
using LlamaCluster.Coordinator;

namespace LlamaCluster.Cli.Commands;

/// <summary>--hub, for commands that can get a model.</summary>
static class HubOption
{
    public static Option<string?> Create() => new(HubSettings.EndpointOption)
    {
        HelpName = "URL",
        Description = "the address of the hub, or of a mirror, that models hf://... come from; without it HF_ENDPOINT, and without either nothing is fetched",
    };

    /// <summary>For workers, whose coordinator may know the hub too.</summary>
    public static Option<string?> CreateForWorkers() => new(HubSettings.EndpointOption)
    {
        HelpName = "URL",
        Description = "the hub, or a mirror of it, that weights are fetched from if the coordinator says so (its --weights-from), with this machine's token; "
            + "without it HF_ENDPOINT, else the coordinator's hub, without a token",
    };

    /// <summary>What --model takes as a path: of a model of a hub where it is on this machine, after it was pulled if it was not.</summary>
    public static string PathOf(ParseResult parsed, string model)
    {
        if (!HubReference.Is(model)) return model;
        return HubModels.PathOf(HubReference.Parse(model), SettingsOf(parsed), new PullView(parsed.InvocationConfiguration.Error, LoadingBar.Show));
    }

    /// <summary>Where on the hub the files of a model are that is on this machine.</summary>
    /// <param name="path">What <see cref="PathOf"/> gave for the model.</param>
    public static HubOrigin OriginOf(ParseResult parsed, string model, string path)
    {
        var (reference, settings) = (HubReference.Parse(model), SettingsOf(parsed));
        var (commit, folder) = new HubCache(reference, settings.Cache).SnapshotOf(path);
        return new HubOrigin(settings.Endpoint, reference.Repository, commit, folder);
    }

    /// <summary>The hub that this process knows. Null: none.</summary>
    public static HubAccess? AccessOf(ParseResult parsed) => SettingsOf(parsed).Access;

    static HubSettings SettingsOf(ParseResult parsed) => HubSettings.Read(In(parsed), tokenFile: null, Environment.GetEnvironmentVariable);

    /// <summary>The address that a command was given; null also where it has no such option.</summary>
    static string? In(ParseResult parsed) =>
        parsed.CommandResult.Command.Options.FirstOrDefault(option => option.Name == HubSettings.EndpointOption) is Option<string?> option
            ? parsed.GetValue(option)
            : null;
}
