using System.Text.Json;
using LlamaCluster.Cli.Commands;

namespace LlamaCluster.Cli.Doctor;

enum Verdict
{
    Ok,

    /// <summary>It works, but slower or less surely than it could.</summary>
    Warn,

    /// <summary>It does not work like this.</summary>
    Fail,
}

/// <summary>What one check found.</summary>
/// <param name="Check">What was looked at, in a word or two.</param>
/// <param name="Finding">One line.</param>
/// <param name="Advice">What to change; empty: nothing.</param>
sealed record Diagnosis(string Check, Verdict Verdict, string Finding, string Advice = "");

/// <summary>All that was found, for people or for programs.</summary>
static class DiagnosisReport
{
    /// <returns>Exit code.</returns>
    public static int Write(TextWriter output, IReadOnlyList<Diagnosis> found, bool json)
    {
        if (json) output.WriteLine(JsonSerializer.Serialize(new
        {
            ok = found.All(one => one.Verdict != Verdict.Fail),
            checks = found.Select(one => new { check = one.Check, verdict = Word(one.Verdict), finding = one.Finding, advice = one.Advice }),
        }));
        else
            WriteLines(output, found);
        return found.Any(one => one.Verdict == Verdict.Fail) ? ExitCode.Failed : ExitCode.Done;
    }

    static void WriteLines(TextWriter output, IReadOnlyList<Diagnosis> found)
    {
        var width = found.Max(one => one.Check.Length);
        foreach (var one in found)
        {
            output.WriteLine($"{Word(one.Verdict),-4}  {one.Check.PadRight(width)}  {one.Finding}");
            if (one.Advice.Length > 0) output.WriteLine($"      {new string(' ', width)}  -> {one.Advice}");
        }
    }

    static string Word(Verdict verdict) => verdict.ToString().ToLowerInvariant();
}
