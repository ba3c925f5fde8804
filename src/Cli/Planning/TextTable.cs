namespace LlamaCluster.Cli.Planning;

/// <summary>Columns of text; the first row is the head. Many rows that are alike are not all shown.</summary>
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
