using System.Globalization;
using LlamaCluster.Planning;
using LlamaCluster.Planning.Costs;

namespace LlamaCluster.Cli.CapacityPlanning;

/// <summary>A plan as text: tables, a picture, and what limits its speed.</summary>
sealed class PlanReport(PlanQuestion question, ClusterDescription cluster, PlanningProblem problem, PlannedPipeline plan)
{
    public void Print(TextWriter output)
    {
        foreach (var line in Head()) output.WriteLine(line);
        output.WriteLine();
        foreach (var line in PipelinePicture.Of(problem.Cluster, plan.Stages)) output.WriteLine(line);
        output.WriteLine();
        foreach (var line in Stages()) output.WriteLine(line);
        output.WriteLine();
        foreach (var line in Streams()) output.WriteLine(line);
        output.WriteLine();
        foreach (var line in Summary()) output.WriteLine(line);
    }

    IEnumerable<string> Head()
    {
        var (workers, hosts) = (problem.Cluster.Workers.Count, problem.Cluster.Hosts.Count);
        yield return "PREDICTED, not measured";
        var model = question.Model.Footprint;
        yield return Text($"model     {model.Name}: {model.LayerCount} layers, {(model.Bytes - question.Model.RoomBytes) / 1e9:0.0} GB of weights")
            + (model.HasExperts ? Text($", of which a token uses {model.ActiveBytes / 1e9:0.0} GB") : "");
        if (question.Model.RoomBytes > 0) yield return Text($"adapters  {question.Model.RoomBytes / 1e9:0.000} GB are kept for them, among the weights below");
        yield return $"cluster   {cluster.Name}: {workers} {(workers == 1 ? "worker" : "workers")} on {hosts} {(hosts == 1 ? "host" : "hosts")}";
        var kv = problem.Goal.KvBlocks * question.Model.Footprint.KvBlockBytesOfAll;
        yield return Text($"asked     {question.Objective.ToString().ToLowerInvariant()}, {question.Streams} {(question.Streams == 1 ? "stream" : "streams")}")
            + Text($" of {question.Positions} positions each, {kv / 1e9:0.0} GB of KV cache");
    }

    IEnumerable<string> Stages()
    {
        string[] head = ["stage", "layers", "ranks", "shares", .. OfExperts("experts"), "ms per token", "memory of a worker"];
        string[][] rows = [head, .. plan.Stages.Select(Row)];
        return TextTable.Lines(rows);
    }

    string[] Row(PlannedStage stage, int index)
    {
        var prediction = plan.Prediction.Stages[index];
        var layers = stage.Layers.Count == 1 ? $"{stage.Layers.First}" : $"{stage.Layers.First}..{stage.Layers.End - 1}";
        return
        [
            $"{index}", layers, $"{stage.Workers.Count}", stage.Shares.AreEqual ? "equal" : $"{stage.Shares.WithExperts(whole: false)}",
            .. OfExperts(stage.Shares.ExpertsWord), Text($"{1e3 * prediction.OneToken.Total:0.000}"),
            string.Join(" | ", stage.Workers.Zip(prediction.Memory, MemoryOf).Distinct()),
        ];
    }

    /// <summary>A column that only models with experts have.</summary>
    string[] OfExperts(string cell) => question.Model.Footprint.HasExperts ? [cell] : [];

    string MemoryOf(int worker, RankMemory memory)
    {
        var limit = problem.Cluster.Workers[worker].MemoryBytes;
        return Text($"{memory.Total / 1e9:0.0} of {limit / 1e9:0.0} GB (weights {memory.Weights / 1e9:0.0}, KV {memory.Kv / 1e9:0.0})");
    }

    IEnumerable<string> Streams() => TextTable.Lines(
    [
        ["streams", "tokens/s", "of each", "ms per token"],
        .. plan.Prediction.Streams.Select(streams => (string[])
            [
                $"{streams.Streams}", Text($"{streams.TokensPerSecond:0.00}"), Text($"{1 / streams.SecondsPerToken:0.00}"),
                Text($"{1e3 * streams.SecondsPerToken:0.0}"),
            ]),
    ]);

    IEnumerable<string> Summary()
    {
        var token = plan.Prediction.OneToken;
        yield return Text($"first token   {plan.Prediction.FirstTokenSeconds:0.00} s after a prompt of {problem.Goal.PromptTokens} tokens");
        var parts = token.Named.Where(part => part.Seconds > 0).Select(part => Text($"{part.Name} {1e3 * part.Seconds:0.0}"));
        yield return Text($"one token     {1e3 * token.Total:0.0} ms = ") + string.Join(" + ", parts);
        yield return $"limited by    {plan.Prediction.Limit}";
        yield return $"chosen        {plan.Choice}";
    }

    static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}

/// <summary>Aligned columns of text; the first row is the head. Of very many rows only the first ones and the last one are shown.</summary>
static class TextTable
{
    const int MostRows = 40;
    const string Gap = "  ";

    public static IEnumerable<string> Lines(IReadOnlyList<string[]> rows)
    {
        var widths = Enumerable.Range(0, rows[0].Length).Select(column => rows.Max(row => row[column].Length)).ToArray();
        var shown = rows.Count <= MostRows ? rows : [.. rows.Take(MostRows - 2), rows[^1]];
        foreach (var (index, row) in shown.Index())
        {
            if (shown.Count < rows.Count && index == shown.Count - 1) yield return $"... {rows.Count - shown.Count} more rows ...";
            yield return string.Join(Gap, row.Select((cell, column) => cell.PadRight(widths[column]))).TrimEnd();
        }
    }
}
