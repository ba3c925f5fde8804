using System.CommandLine;
using LlamaCluster.Cli.Models;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;

namespace LlamaCluster.Cli.Commands;

/// <summary>`inspect`: what a model's headers say. No weights are read.</summary>
static class InspectCommand
{
    public static Command Create()
    {
        var model = ModelOption.Create();
        var json = new Option<bool>("--json") { Description = "print one JSON object" };
        var command = new Command("inspect", "Show a model's facts, its tensors by type, bytes per layer, and KV bytes per token.") { model, json };
        command.SetAction(parsed =>
        {
            var path = ModelOption.PathOf(parsed, model);
            using var weights = ModelFiles.Open(path);
            var facts = ModelFacts.Of(weights);
            if (parsed.GetValue(json)) parsed.InvocationConfiguration.Output.WriteLine(InspectionReport.Json(facts));
            else InspectionReport.Print(facts, parsed.InvocationConfiguration.Output);
            return ExitCode.Done;
        });
        return command;
    }
}
