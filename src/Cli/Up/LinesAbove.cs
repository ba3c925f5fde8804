using System.Text;
using System.Text.RegularExpressions;
using Spectre.Console;

namespace LlamaCluster.Cli.Up;

/// <summary>Text for a console on which bars may be drawn: whole lines, without colours of their own.</summary>
sealed partial class LinesAbove(IAnsiConsole console) : TextWriter
{
    readonly StringBuilder _line = new();

    public override Encoding Encoding => Encoding.UTF8;

    public override void Write(char value)
    {
        if (value != '\n')
        {
            _line.Append(value);
            return;
        }
        console.WriteLine(Colour().Replace(_line.ToString().TrimEnd('\r'), ""));
        _line.Clear();
    }

    [GeneratedRegex(@"\x1B\[[0-9;]*m")]
    private static partial Regex Colour();
}
