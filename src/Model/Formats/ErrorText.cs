using System.Text;

namespace LlamaCluster.Model.Formats;

/// <summary>How names that come out of a file stand in an error message: quoted, on one line and of bounded length, whatever they hold.</summary>
static class ErrorText
{
    const int MaxLength = 80;

    public static string Quote(string name)
    {
        var shown = new StringBuilder("'");
        foreach (var rune in name.EnumerateRunes())
        {
            if (shown.Length >= MaxLength) return shown.Append("...'").ToString();
            if (Rune.IsControl(rune) || IsLineSeparator(rune)) shown.Append($"\\u{rune.Value:x4}");
            else shown.Append(rune.ToString());
        }
        return shown.Append('\'').ToString();
    }

    static bool IsLineSeparator(Rune rune) => rune.Value is 0x2028 or 0x2029;
}
