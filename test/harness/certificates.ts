import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const EC_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** Paths of PEM files. */
export interface Certificate {
  cert: string;
  key: string;
}

/** A CA of the test's own; openssl makes everything. */
export class CertificateAuthority {
  readonly #folder: string;
  readonly #ca: Certificate;
  #made = 0;

  private constructor(folder: string) {
    this.#folder = folder;
    this.#ca = { cert: join(folder, "ca.crt"), key: join(folder, "ca.key") };
  }

  static async create(folder: string, name: string): Promise<CertificateAuthority> {
    await mkdir(folder);
    const authority = new CertificateAuthority(folder);
    const { cert, key } = authority.#ca;
    const args = [
      "req",
      "-x509",
      ...EC_KEY,
      "-subj",
      `/CN=${name}`,
      "-days",
      "2",
      "-keyout",
      key,
      "-out",
      cert,
    ];
    await run("openssl", args);
    return authority;
  }

  /** The file that clients trust. */
  get file(): string {
    return this.#ca.cert;
  }

  /** `names` as openssl has them: `DNS:localhost,IP:127.0.0.1`; without, for a client called `subject`. */
  async issue(subject: string, names?: string): Promise<Certificate> {
    this.#made += 1;
    const base = join(this.#folder, `${this.#made}-${subject}`);
    const made = { cert: `${base}.crt`, key: `${base}.key` };
    const request = `${base}.csr`;
    await run("openssl", ["req", ...EC_KEY, "-subj", `/CN=${subject}`, "-keyout", made.key, "-out", request]);
    const extensions = `${base}.ext`;
    await writeFile(
      extensions,
      names === undefined ? "keyUsage=digitalSignature\n" : `subjectAltName=${names}\n`,
    );
    const { cert, key } = this.#ca;
    const signing = ["-CA", cert, "-CAkey", key, "-CAcreateserial", "-days", "2", "-extfile", extensions];
    await run("openssl", ["x509", "-req", "-in", request, ...signing, "-out", made.cert]);
    return made;
  }
}

/** What the TLS tests present and trust. */
export interface Certificates {
  folder: string;
  ca: CertificateAuthority;
  /** Trusted by nobody else. */
  otherCa: CertificateAuthority;
  /** For localhost and 127.0.0.1. */
  server: Certificate;
  /** By the same CA, for a host of another name. */
  elsewhere: Certificate;
  /** By the other CA, for localhost. */
  stranger: Certificate;
  /** Of role `fleet`. */
  client: Certificate;
  close(): Promise<void>;
}

export async function makeCertificates(): Promise<Certificates> {
  const folder = await mkdtemp(join(tmpdir(), "ringfleet-certificates-"));
  const ca = await CertificateAuthority.create(join(folder, "ca"), "ringfleet test CA");
  const otherCa = await CertificateAuthority.create(join(folder, "other"), "another CA");
  return {
    folder,
    ca,
    otherCa,
    server: await ca.issue("localhost", "DNS:localhost,IP:127.0.0.1"),
    elsewhere: await ca.issue("elsewhere", "DNS:db.example"),
    stranger: await otherCa.issue("localhost", "DNS:localhost,IP:127.0.0.1"),
    client: await ca.issue("fleet"),
    close: () => rm(folder, { recursive: true, force: true }),
  };
}
