using LlamaCluster.Planning;
using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Cli.CapacityPlanning;

/// <summary>A picture of a pipeline in text: a box for each stage with its layers and workers, arrows between them.</summary>
static class PipelinePicture
{
    const int Width = 110;
    const int MostStages = 12;
    const int MostWorkers = 8;
    const string Arrow = " ──▶ ";

    public static IEnumerable<string> Of(ClusterProfile cluster, IReadOnlyList<PlannedStage> stages)
    {
        List<string[]> boxes = stages.Count <= MostStages
            ? [.. stages.Select((stage, index) => Box(cluster, stage, index))]
            : [
                .. stages.Take(MostStages / 2).Select((stage, index) => Box(cluster, stage, index)),
                ["", $"... {stages.Count - MostStages + 1} more ..."],
                .. stages.TakeLast(MostStages / 2 - 1).Select((stage, index) => Box(cluster, stage, stages.Count - MostStages / 2 + 1 + index)),
            ];
        for (var first = 0; first < boxes.Count;)
        {
            var row = boxes.Skip(first).Take(Fitting(boxes, first)).ToList();
            foreach (var line in Row(row, continues: first > 0)) yield return line;
            first += row.Count;
        }
    }

    static string[] Box(ClusterProfile cluster, PlannedStage stage, int index)
    {
        List<string> lines = [$"stage {index}", $"{stage.Layers}", .. stage.Workers.Take(MostWorkers).Select(worker => cluster.Workers[worker].Name)];
        if (stage.Workers.Count > MostWorkers) lines.Add($"... {stage.Workers.Count - MostWorkers} more ranks");
        var width = lines.Max(line => line.Length);
        return [$"┌{new string('─', width + 2)}┐", .. lines.Select(line => $"│ {line.PadRight(width)} │"), $"└{new string('─', width + 2)}┘"];
    }

    /// <summary>The number of boxes from the first on that fit beside each other; at least one.</summary>
    static int Fitting(List<string[]> boxes, int first)
    {
        var (count, width) = (0, 0);
        for (; first + count < boxes.Count; count++)
        {
            width += WidthOf(boxes[first + count]) + Arrow.Length;
            if (width > Width && count > 0) break;
        }
        return count;
    }

    static IEnumerable<string> Row(List<string[]> boxes, bool continues)
    {
        var height = boxes.Max(box => box.Length);
        for (var line = 0; line < height; line++)
        {
            var between = line == 1 ? Arrow : new string(' ', Arrow.Length);
            var cells = boxes.Select(box => (line < box.Length ? box[line] : "").PadRight(WidthOf(box)));
            yield return ((continues ? between : "") + string.Join(between, cells)).TrimEnd();
        }
    }

    static int WidthOf(string[] box) => box.Max(line => line.Length);
}
