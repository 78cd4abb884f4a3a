import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext, type SecureContext } from "node:tls";
import { reasonOf } from "../postgres/errors.js";
import { type SettingProblem, SettingsError } from "../settings/settings-error.js";

/** A PEM file, and the setting to name when something is wrong with it. */
export interface CertificateFile {
  variable: string;
  path: string;
}

/** Null: the system's CAs; no client certificate. */
export interface CertificateFileSet {
  ca: CertificateFile | null;
  cert: CertificateFile | null;
  key: CertificateFile | null;
}

const CERTIFICATES = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/**
 * Certificates as they stand on disk at the moment of a connection, so that a rotated file is used from the
 * next connection on. Files that are half written, or gone, don't count: the last good ones go on.
 */
export class CertificateFiles {
  readonly #files: CertificateFileSet;
  readonly #onProblem: (problem: string) => void;
  #contents: string;
  #context: SecureContext;
  #problem = "";

  /** Reads the files. Throws SettingsError where one can't be used; `onProblem` hears of what goes wrong later. */
  constructor(files: CertificateFileSet, onProblem: (problem: string) => void) {
    this.#files = files;
    this.#onProblem = onProblem;
    const read = readAll(files);
    this.#contents = JSON.stringify(read);
    this.#context = contextOf(files, read);
  }

  /** Whether a CA of the user's own is trusted, and no other. */
  get hasCa(): boolean {
    return this.#files.ca !== null;
  }

  /** Never throws: a client library that can't make a socket may give up for ever. */
  context(): SecureContext {
    try {
      const read = readAll(this.#files);
      const contents = JSON.stringify(read);
      if (contents !== this.#contents) {
        this.#context = contextOf(this.#files, read);
        this.#contents = contents;
      }
      this.#problem = "";
    } catch (error) {
      const problem = reasonOf(error);
      if (problem !== this.#problem) this.#onProblem(`${problem}; the certificates read before go on`);
      this.#problem = problem;
    }
    return this.#context;
  }
}

interface Contents {
  ca?: string;
  cert?: string;
  key?: string;
}

function readAll({ ca, cert, key }: CertificateFileSet): Contents {
  if (cert !== null && key === null) throw missingPartner(cert.variable, "CERT", "KEY");
  if (key !== null && cert === null) throw missingPartner(key.variable, "KEY", "CERT");
  return {
    ...(ca === null ? {} : { ca: readCertificates(ca) }),
    ...(cert === null ? {} : { cert: readCertificates(cert) }),
    ...(key === null ? {} : { key: readKey(key) }),
  };
}

function contextOf(files: CertificateFileSet, contents: Contents): SecureContext {
  try {
    return createSecureContext(contents);
  } catch (error) {
    // Each was read well by itself: what is left is that they don't belong together.
    const file = files.key ?? files.cert ?? files.ca;
    const partner = files.cert?.variable ?? "certificate";
    throw problem(file?.variable ?? "", file?.path ?? "", `must belong to ${partner} (${reasonOf(error)})`);
  }
}

function readCertificates(file: CertificateFile): string {
  const text = read(file);
  const found = text.match(CERTIFICATES) ?? [];
  try {
    for (const certificate of found) new X509Certificate(certificate);
  } catch (error) {
    throw problem(file.variable, file.path, `must hold certificates in PEM (${reasonOf(error)})`);
  }
  if (found.length === 0) throw problem(file.variable, file.path, "must hold certificates in PEM");
  return text;
}

function readKey(file: CertificateFile): string {
  const text = read(file);
  try {
    createPrivateKey(text);
  } catch {
    throw problem(file.variable, file.path, "must hold a private key in PEM, without a passphrase");
  }
  return text;
}

function read(file: CertificateFile): string {
  try {
    return readFileSync(file.path, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? reasonOf(error);
    throw problem(file.variable, file.path, `must name a readable file (${code})`);
  }
}

function missingPartner(variable: string, has: string, lacks: string): SettingsError {
  const partner = variable.replace(has, lacks).replace(has.toLowerCase(), lacks.toLowerCase());
  return new SettingsError([{ name: partner, value: null, allowed: `must be set where ${variable} is` }]);
}

function problem(name: string, path: string, allowed: string): SettingsError {
  const found: SettingProblem = { name, value: path, allowed };
  return new SettingsError([found]);
}
