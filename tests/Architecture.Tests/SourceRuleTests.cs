using System.Text.RegularExpressions;

namespace LlamaCluster.Architecture.Tests;

/// <summary>House rules that a reader relies on and that a machine can hold.</summary>
public sealed partial class SourceRuleTests
{
    const int LongestFile = 300;

    /// <summary>Characters. The .editorconfig says so too, but no tool of .NET checks that.</summary>
    const int LongestLine = 160;

    [Fact]
    public void Unsafe_code_stays_in_the_kernels()
        => Assert.Empty(Offenders(
            [.. SourceTree.ProjectFiles("src").Select(file => Path.GetDirectoryName(file)!).Where(folder => Path.GetFileName(folder) != "Kernels")],
            UnsafeKeyword()));

    [Fact]
    public void A_file_over_300_lines_says_why_at_its_top()
    {
        var offenders = SourceTree.SourceFiles("src", "tests", "benchmarks")
            .Where(file => File.ReadLines(file).Count() > LongestFile && !File.ReadLines(file).First().StartsWith("// Long because"))
            .Select(SourceTree.Relative);
        Assert.Empty(offenders);
    }

    [Fact]
    public void No_line_has_more_than_160_characters()
    {
        var offenders = from file in SourceTree.SourceFiles("src", "tests", "benchmarks")
                        from line in File.ReadLines(file).Index()
                        where line.Item.Length > LongestLine
                        select $"{SourceTree.Relative(file)}:{line.Index + 1}";
        Assert.Empty(offenders);
    }

    [Fact]
    public void No_unfinished_marks()
        => Assert.Empty(Offenders(["src", "tests", "benchmarks"], UnfinishedMark()));

    [Fact]
    public void Names_say_a_role()
    {
        var offenders = SourceTree.SourceFiles("src")
            .Where(file => VagueName().IsMatch(Path.GetFileNameWithoutExtension(file)))
            .Select(SourceTree.Relative);
        Assert.Empty(offenders);
    }

    [Fact]
    public void Tests_do_not_wait_on_the_clock()
        => Assert.Empty(Offenders(["tests"], ClockWait()));

    /// <summary>As `dotnet format` sorts them, which CI does not run as a whole.</summary>
    [Fact]
    public void Usings_are_sorted_with_System_first()
    {
        var offenders = SourceTree.SourceFiles("src", "tests", "benchmarks").Where(file =>
        {
            var names = File.ReadLines(file)
                .Select(line => UsingDirective().Match(line)).Where(match => match.Success)
                .Select(match => match.Groups[1].Value).ToList();
            return !names.SequenceEqual(names
                .OrderBy(name => name != "System" && !name.StartsWith("System.", StringComparison.Ordinal))
                .ThenBy(name => name, StringComparer.OrdinalIgnoreCase));
        });
        Assert.Empty(offenders.Select(SourceTree.Relative));
    }

    [Fact]
    public void No_error_is_swallowed()
        => Assert.Empty(Offenders(["src"], EmptyCatch()));

    /// <summary>file:line of each match. This file names what it looks for and is left out.</summary>
    static IEnumerable<string> Offenders(string[] folders, Regex bad)
        => from file in SourceTree.SourceFiles(folders)
           where Path.GetFileName(file) != $"{nameof(SourceRuleTests)}.cs"
           from line in File.ReadLines(file).Index()
           where bad.IsMatch(line.Item)
           select $"{SourceTree.Relative(file)}:{line.Index + 1}";

    [GeneratedRegex(@"^(?!\s*//)(?:[^""]|""(?:[^""\\]|\\.)*"")*\bunsafe\b")]   // in a text it is a word
    private static partial Regex UnsafeKeyword();

    [GeneratedRegex(@"\b(TODO|FIXME|HACK|NotImplementedException|for now)\b")]
    private static partial Regex UnfinishedMark();

    [GeneratedRegex(@"^using ([\w.]+);$")]
    private static partial Regex UsingDirective();

    [GeneratedRegex("(Utils?|Helpers?|Manager|Common)$")]
    private static partial Regex VagueName();

    [GeneratedRegex(@"Thread\.Sleep|Task\.Delay\(")]
    private static partial Regex ClockWait();

    [GeneratedRegex(@"catch\s*(\((Exception)?[^)]*\))?\s*\{\s*\}")]
    private static partial Regex EmptyCatch();
}
