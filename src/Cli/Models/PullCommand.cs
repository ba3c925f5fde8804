using System.CommandLine;
using System.Text.Json;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Cli.Hub;

namespace LlamaCluster.Cli.Models;

/// <summary>`pull`: gets a model from a hub.</summary>
static class PullCommand
{
    public static Command Create()
    {
        var model = new Argument<string>("MODEL")
        {
            Description = $"{HubReference.Form}, where QUANT is a quantisation such as Q4_K_M, a file's name, or `{HubSelection.Safetensors}`; "
                + "without it the only one, or Q4_K_M",
        };
        var (hub, token) = (HubOption.Create(), TokenFileOption());
        var json = new Option<bool>("--json") { Description = "print one JSON object" };
        var command = new Command(
            "pull",
            "Get a model from a hub into the cache that the hub's own programs use (HF_HUB_CACHE, HF_HOME), and print its path. "
            + "What broke off is gone on with, and every file is compared with its hash.")
        {
            model, hub, token, json,
        };
        command.SetAction((parsed, cancellation) =>
        {
            var reference = HubReference.Parse(parsed.GetRequiredValue(model));
            var settings = HubSettings.Read(parsed.GetValue(hub), parsed.GetValue(token), Environment.GetEnvironmentVariable);
            var (output, error) = (parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error);
            var pulled = HubModels.Pull(reference, settings, TimeProvider.System, new PullView(error, LoadingBar.Show), cancellation);
            output.WriteLine(parsed.GetValue(json)
                ? JsonSerializer.Serialize(new
                {
                    path = pulled.Path,
                    commit = pulled.Commit,
                    files = pulled.Files.Select(file => new { name = file.Name, bytes = file.Size, hash = file.Hash }),
                })
                : pulled.Path);
            return Task.FromResult(ExitCode.Done);
        });
        return command;
    }

    static Option<string?> TokenFileOption() => new(HubSettings.TokenOption)
    {
        HelpName = "FILE",
        Description = "a file with a token of the hub, for models that are not for everybody; "
            + "without it HF_TOKEN, HF_TOKEN_PATH, or the file `token` in HF_HOME",
    };
}
