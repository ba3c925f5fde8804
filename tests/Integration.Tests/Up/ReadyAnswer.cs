using System.Net;

namespace LlamaCluster.Integration.Tests.Up;

/// <summary>GET /ready, asked until it answers what a test waits for.</summary>
static class ReadyAnswer
{
    static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(50);

    /// <param name="part">What the body has in it.</param>
    /// <returns>The answer's body.</returns>
    public static async Task<string> WaitAsync(HttpClient http, HttpStatusCode expected, string part = "")
    {
        using var deadline = new CancellationTokenSource(CliProcess.Deadline);
        using var timer = new PeriodicTimer(Interval);
        var body = "nothing";
        try
        {
            do
            {
                using var answer = await http.GetAsync("/ready", deadline.Token);
                body = await answer.Content.ReadAsStringAsync(deadline.Token);
                if (answer.StatusCode == expected && body.Contains(part)) return body;
            }
            while (await timer.WaitForNextTickAsync(deadline.Token));
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"/ready did not answer {expected} within {CliProcess.Deadline}; it last said {body}");
        }
        throw new InvalidOperationException("the timer has stopped");
    }
}
